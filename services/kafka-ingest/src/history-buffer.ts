import { HistoryColumns } from '@flasktoria/warehouse/history-columns'
import {
  historyTables,
  streamName,
  type HistoryFile,
  type HistoryTableName,
  type OffsetRange,
} from '@flasktoria/warehouse/history-layout'
import type { RowRange } from '@flasktoria/warehouse/parquet-writer'
import type { HistoryRow } from './history-rows.ts'
import type { Position } from './record-source.ts'

/** Rows of one stream for one day of a table, in order of offset. */
export type Portion = {
  table: HistoryTableName
  day: number
  stream: string
  offsets: number[]
  rows: HistoryColumns
}

/** A partition: where reading goes on, and what it holds of each day. */
type Stream = { next: Position; sensor: Map<number, Portion>; anomaly: Map<number, Portion> }

/** What was read and is not on the disk yet. */
export class HistoryBuffer {
  readonly portions = new Set<Portion>()
  readonly #streams = new Map<string, Map<number, Stream>>()
  rows = 0
  bytes = 0
  /** When the first record came, epoch ms. */
  since: number | undefined

  get isEmpty(): boolean {
    return this.#streams.size === 0
  }

  /** Where reading goes on once this is on the disk. */
  positions(): Position[] {
    return this.#streams
      .values()
      .flatMap((streams) => streams.values())
      .map(({ next }) => next)
      .toArray()
  }

  /** Notes that a record was read at `now`, with its row if it has one. */
  add({ topic, partition, offset }: Position, row: HistoryRow | undefined, now: number): void {
    this.since ??= now
    const stream = this.#streamOf(topic, partition)
    stream.next.offset = offset + 1
    if (row === undefined) return
    const { table, day, cells } = row
    let portion = stream[table].get(day)
    if (portion === undefined) {
      const rows = new HistoryColumns(historyTables[table])
      portion = { table, day, stream: streamName(topic, partition), offsets: [], rows }
      stream[table].set(day, portion)
      this.portions.add(portion)
    }
    portion.offsets.push(offset)
    const bytesBefore = portion.rows.bytes
    portion.rows.push(cells)
    this.bytes += portion.rows.bytes - bytesBefore + offsetBytes
    this.rows += 1
  }

  #streamOf(topic: string, partition: number): Stream {
    let streams = this.#streams.get(topic)
    if (streams === undefined) this.#streams.set(topic, (streams = new Map()))
    let stream = streams.get(partition)
    if (stream === undefined) {
      stream = { next: { topic, partition, offset: 0 }, sensor: new Map(), anomaly: new Map() }
      streams.set(partition, stream)
    }
    return stream
  }
}

const offsetBytes = 8

export type PlannedFile = { file: HistoryFile; content: RowRange }

/**
 * The files that a portion still needs, given the files of its stream that the day has already. Rows inside one of them were
 * written before and are left out; a file never spans another one, or its name would claim what the other one holds.
 */
export function planFiles({ stream, offsets, rows }: Portion, written: readonly OffsetRange[]): PlannedFile[] {
  const covered = written.toSorted((a, b) => a.first - b.first)
  const files: PlannedFile[] = []
  let current: PlannedFile | undefined
  let next = 0
  for (const [index, offset] of offsets.entries()) {
    for (; next < covered.length && covered[next]!.last < offset; next++) current = undefined
    if (next < covered.length && covered[next]!.first <= offset) continue
    if (current === undefined) {
      current = { file: { stream, first: offset, last: offset }, content: { rows, from: index, to: index } }
      files.push(current)
    }
    current.file.last = offset
    current.content.to = index + 1
  }
  return files
}
