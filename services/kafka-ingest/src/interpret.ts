import type { SensorCatalogue } from '@flasktoria/contracts/catalogue'
import type { RawRecord } from './record-source.ts'
import type { DecodeFailure } from './topic-profile.ts'
import {
  validateAnomaly,
  validateFix,
  validateSensor,
  type Fact,
  type Fix,
  type Reading,
  type Refusal,
  type Validated,
} from './validate.ts'

export type Interpreted = { ok: true; fact: Fact } | { ok: false; reason: Reason }
export type Reason = DecodeFailure | Refusal

export type Interpretation = {
  /** Records from before are refused, epoch ms. */
  earliestTs: number
  /** How far ahead of us a producer's clock may be. */
  maxAheadMs: number
  /** What they can show at all counts. */
  sensors?: SensorCatalogue
}

/**
 * What a record says, or why it is refused. The live pipeline and the history writer both ask this, so that they never
 * disagree (but for teleports: docs/adr/0012). Never throws; `now` is when the record arrived.
 */
export function createInterpreter({ earliestTs, maxAheadMs, sensors = [] }: Interpretation) {
  const limited = sensors.filter(({ min, max }) => min !== undefined || max !== undefined)
  const limits = new Map(limited.map(({ id, min = -Infinity, max = Infinity }) => [id, { min, max }]))

  return (raw: Pick<RawRecord, 'profile' | 'value' | 'decode'>, now: number): Interpreted => {
    const decoded = raw.decode?.() ?? raw.profile.read(raw.value)
    if (!decoded.ok) return decoded
    const window = { from: earliestTs, to: now + maxAheadMs }
    if (decoded.kind === 'sensor') return withinLimits(validateSensor(decoded, window))
    if (decoded.kind === 'fix') return validateFix(decoded, window)
    return validateAnomaly(decoded, window)
  }

  function withinLimits(validated: Validated<Reading | Fix>): Validated<Reading | Fix> {
    if (limits.size === 0 || !validated.ok || validated.fact.kind === 'fix' || validated.fact.value === null)
      return validated
    const limit = limits.get(validated.fact.sensor)
    if (!limit) return validated
    const { value } = validated.fact
    return value < limit.min || value > limit.max ? { ok: false, reason: 'out_of_range' } : validated
  }
}
export type Interpreter = ReturnType<typeof createInterpreter>
