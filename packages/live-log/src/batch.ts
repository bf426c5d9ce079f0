import { updateKinds, type UpdateKind } from '@flasktoria/contracts/updates'
import type { Draft, Entry } from './log.ts'

/**
 * How entries travel through Redis: as text, a line each, the routing fields in front of the JSON so that nobody has to parse
 * it. Ids hold no control characters and JSON escapes them, so tabs and line feeds separate.
 *
 *     batch   = epoch TAB first seq TAB count LF line LF line …
 *     line    = mark fields            mark: N newest of its key, or an event; L late
 *     fields  = kind TAB vehicle TAB sensor TAB event time TAB json
 *     state   = seq TAB fields
 */
export type Batch = { epoch: string; first: number; entries: Entry[] }

export class MalformedBatch extends Error {
  override readonly name = 'MalformedBatch'
}

export const formatFields = ({ kind, vehicle, sensor, eventTs, json }: Draft): string =>
  `${kind}\t${vehicle}\t${sensor}\t${eventTs}\t${json}`

const kinds = new Set<string>(updateKinds)

/** @throws MalformedBatch */
export function parseFields(text: string, from: number, seq: number, isLate: boolean): Entry {
  const afterKind = text.indexOf('\t', from)
  const afterVehicle = text.indexOf('\t', afterKind + 1)
  const afterSensor = text.indexOf('\t', afterVehicle + 1)
  const afterTime = text.indexOf('\t', afterSensor + 1)
  const kind = text.slice(from, afterKind)
  const eventTs = Number(text.slice(afterSensor + 1, afterTime))
  if (afterTime < afterSensor || afterSensor < afterVehicle || afterVehicle < afterKind || afterKind < from)
    throw new MalformedBatch('a line has too few fields')
  if (!kinds.has(kind) || !Number.isSafeInteger(eventTs))
    throw new MalformedBatch('a line has a field that is not ours')
  return {
    seq,
    kind: kind as UpdateKind,
    vehicle: text.slice(afterKind + 1, afterVehicle),
    sensor: text.slice(afterVehicle + 1, afterSensor),
    eventTs,
    isLate,
    json: text.slice(afterTime + 1),
  }
}

/** @throws MalformedBatch */
export function parseBatch(text: string): Batch {
  const lines = text.split('\n')
  const [epoch, first, count] = (lines[0] ?? '').split('\t')
  const firstSeq = Number(first)
  if (!epoch || !Number.isSafeInteger(firstSeq) || firstSeq < 1 || lines.length < 2)
    throw new MalformedBatch('the header is not ours')
  if (Number(count) !== lines.length - 1)
    throw new MalformedBatch(`${count} entries announced, ${lines.length - 1} came`)
  const entries: Entry[] = []
  for (let index = 1; index < lines.length; index++) {
    const line = lines[index]!
    if (line[0] !== 'N' && line[0] !== 'L') throw new MalformedBatch('a line has no mark')
    entries.push(parseFields(line, 1, firstSeq + index - 1, line[0] === 'L'))
  }
  return { epoch, first: firstSeq, entries }
}

/** @throws MalformedBatch */
export function parseState(text: string): Entry {
  const afterSeq = text.indexOf('\t')
  const seq = Number(text.slice(0, afterSeq))
  if (afterSeq < 1 || !Number.isSafeInteger(seq)) throw new MalformedBatch('a state value has no seq')
  return parseFields(text, afterSeq + 1, seq, false)
}
