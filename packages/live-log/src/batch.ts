import { updateKinds, type UpdateKind } from '@flasktoria/contracts/updates'
import { mergeKey, type Draft, type Entry } from './log.ts'

/**
 * How entries travel through Redis: as text, a line each, the routing fields in front of the JSON so that nobody has to parse
 * it. Ids hold no control characters and JSON escapes them, so tabs and line feeds separate.
 *
 *     batch   = epoch TAB first seq TAB count TAB append time LF line LF line …
 *     line    = mark key TAB event time TAB json       mark: N newest of its key, or an event; L late
 *     key     = kind TAB vehicle TAB sensor
 *     state   = seq @ append time TAB event time TAB json      of a key
 *
 * Before append times were noted, batches and states had none; what such a version left in Redis is still read.
 * Batches and states are written by the append script (log-scripts.ts), inside Redis.
 */
export type Batch = { epoch: string; first: number; appendedAt: number; entries: Entry[] }

export class MalformedBatch extends Error {
  override readonly name = 'MalformedBatch'
}

export const lastSeq = ({ first, entries }: Batch): number => first + entries.length - 1

export const formatBatch = ({ epoch, first, appendedAt, entries }: Batch): string =>
  [
    `${epoch}\t${first}\t${entries.length}\t${appendedAt}`,
    ...entries.map((entry) => `${entry.isLate ? 'L' : 'N'}${mergeKey(entry)}\t${entry.eventTs}\t${entry.json}`),
  ].join('\n')

/** Ingest has validated what it appends; what would break a line is a mistake of ours. @throws RangeError */
export function assertFits({ vehicle, sensor, eventTs, json, statusJson = '', heldStatusJson = '' }: Draft): void {
  if (breaksLine(vehicle) || breaksLine(sensor)) throw new RangeError('an id holds a control character')
  if (breaksLine(json) || breaksLine(statusJson) || breaksLine(heldStatusJson))
    throw new RangeError('the JSON of an update is not in one line')
  if (!Number.isSafeInteger(eventTs)) throw new RangeError('an event time is no integer')
}

const breaksLine = (text: string) => text.includes('\t') || text.includes('\n')

const kinds = new Set<string>(updateKinds)

/** `text` from a position on: key TAB event time TAB json. @throws MalformedBatch */
function parseFields(text: string, from: number, seq: number, appendedAt: number, isLate: boolean): Entry {
  const afterKind = text.indexOf('\t', from)
  const afterVehicle = text.indexOf('\t', afterKind + 1)
  const afterSensor = text.indexOf('\t', afterVehicle + 1)
  const afterTime = text.indexOf('\t', afterSensor + 1)
  // A tab that is not found is at -1, so the order tells whether all four are there.
  if (afterTime < afterSensor || afterSensor < afterVehicle || afterVehicle < afterKind || afterKind < from)
    throw new MalformedBatch('a line has too few fields')
  const kind = text.slice(from, afterKind)
  const time = text.slice(afterSensor + 1, afterTime)
  const eventTs = Number(time)
  if (!kinds.has(kind) || time === '' || !Number.isSafeInteger(eventTs) || afterTime + 1 === text.length)
    throw new MalformedBatch('a line has a field that is not ours')
  return {
    seq,
    kind: kind as UpdateKind,
    vehicle: text.slice(afterKind + 1, afterVehicle),
    sensor: text.slice(afterVehicle + 1, afterSensor),
    eventTs,
    appendedAt,
    isLate,
    json: text.slice(afterTime + 1),
  }
}

/** @throws MalformedBatch */
function parseAppendTime(text: string | undefined): number {
  if (text === undefined) return 0
  const appendedAt = Number(text)
  if (text === '' || !Number.isSafeInteger(appendedAt) || appendedAt < 0)
    throw new MalformedBatch('an append time is none')
  return appendedAt
}

/** @throws MalformedBatch */
export function parseBatch(text: string): Batch {
  const lines = text.split('\n')
  const [epoch, first, count, appendTime] = (lines[0] ?? '').split('\t')
  const firstSeq = Number(first)
  if (!epoch || !Number.isSafeInteger(firstSeq) || firstSeq < 1) throw new MalformedBatch('the header is not ours')
  if (lines.length < 2 || Number(count) !== lines.length - 1)
    throw new MalformedBatch(`${count} entries announced, ${lines.length - 1} came`)
  const appendedAt = parseAppendTime(appendTime)
  const entries: Entry[] = []
  for (let index = 1; index < lines.length; index++) {
    const line = lines[index]!
    if (line[0] !== 'N' && line[0] !== 'L') throw new MalformedBatch('a line has no mark')
    entries.push(parseFields(line, 1, firstSeq + index - 1, appendedAt, line[0] === 'L'))
  }
  return { epoch, first: firstSeq, appendedAt, entries }
}

/** The latest entry of a MERGE key. @throws MalformedBatch */
export function parseState(key: string, value: string): Entry {
  const afterPlace = value.indexOf('\t')
  const [seqText, appendTime] = value.slice(0, afterPlace).split('@')
  const seq = Number(seqText)
  if (afterPlace < 1 || !seqText || !Number.isSafeInteger(seq)) throw new MalformedBatch('a state value has no seq')
  return parseFields(`${key}${value.slice(afterPlace)}`, 0, seq, parseAppendTime(appendTime), false)
}
