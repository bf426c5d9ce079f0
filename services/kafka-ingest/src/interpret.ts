import type { RawRecord } from './record-source.ts'
import type { DecodeFailure } from './topic-profile.ts'
import { validateAnomaly, validateFix, validateSensor, type Fact, type Refusal } from './validate.ts'

export type Interpreted = { ok: true; fact: Fact } | { ok: false; reason: Reason }
export type Reason = DecodeFailure | Refusal

export type Interpretation = {
  /** Records from before are refused, epoch ms. */
  earliestTs: number
  /** How far ahead of us a producer's clock may be. */
  maxAheadMs: number
}

/**
 * What a record says, or why it is refused. The live pipeline and the history writer both ask this, so that they never
 * disagree (but for teleports: docs/adr/0012). Never throws; `now` is when the record arrived.
 */
export function createInterpreter({ earliestTs, maxAheadMs }: Interpretation) {
  return (raw: Pick<RawRecord, 'profile' | 'value'>, now: number): Interpreted => {
    const decoded = raw.profile.read(raw.value)
    if (!decoded.ok) return decoded
    const window = { from: earliestTs, to: now + maxAheadMs }
    if (decoded.kind === 'sensor') return validateSensor(decoded, window)
    if (decoded.kind === 'fix') return validateFix(decoded, window)
    return validateAnomaly(decoded, window)
  }
}
export type Interpreter = ReturnType<typeof createInterpreter>
