import { decode, type DecodeFailure } from './decode.ts'
import type { RawRecord } from './record-source.ts'
import { validateAnomaly, validateSensor, type Fact, type Refusal } from './validate.ts'
import { zonedTime } from './zoned-time.ts'

export type Interpreted = { ok: true; fact: Fact } | { ok: false; reason: Reason }
export type Reason = DecodeFailure | Refusal

export type Interpretation = {
  /** Records from before are refused, epoch ms. */
  earliestTs: number
  /** How far ahead of us a producer's clock may be. */
  maxAheadMs: number
  /** The zone of times that came as text. */
  textTimeZone: string
}

/**
 * What a record says, or why it is refused. The live pipeline and the history writer both ask this, so that they never
 * disagree. Never throws; `now` is when the record arrived.
 */
export function createInterpreter({ earliestTs, maxAheadMs, textTimeZone }: Interpretation) {
  const parseTime = zonedTime(textTimeZone)
  return (raw: Pick<RawRecord, 'form' | 'value'>, now: number): Interpreted => {
    const decoded = decode(raw.form, raw.value)
    if (!decoded.ok) return decoded
    const window = { from: earliestTs, to: now + maxAheadMs }
    if (decoded.form === 'anomaly') return validateAnomaly(decoded.record, window)
    const { timestamp } = decoded.record
    return validateSensor(decoded.record, typeof timestamp === 'string' ? parseTime(timestamp) : timestamp, window)
  }
}
export type Interpreter = ReturnType<typeof createInterpreter>
