import { maxHistoryLimit, type Aggregate, type Downsampling, type Fill } from '@flasktoria/contracts/rest-v1-history'
import type { Period } from '@flasktoria/warehouse/queries'
import type { Bucket, PageColumns, PageQuestion, ReadingKey } from '@flasktoria/warehouse/queries-history'
import type { Cell, ColumnBatch } from '@flasktoria/warehouse/warehouse'
import { BucketGatherer, bucketStart, type Grid } from './bucket-gatherer.ts'
import { coverageOf, type Seam } from './coverage.ts'
import { extremesOf, gridOf, gridOfTriangles, largestTriangles } from './downsample.ts'
import type { History } from './history.ts'
import { IntervalRows, placesBetween } from './interval-rows.ts'
import { formatKeyset } from './keyset-cursor.ts'
import { compareBytes, ReadingMerge, recentPoints, type Point } from './reading-merge.ts'
import type { Columns } from './row-formats.ts'
import type { Rows } from './rows-answer.ts'

export type SeriesQuestion = Period & { vehicle: string; sensors: readonly string[] }
/** Where readings come from. `history` absent: the window is all there is. */
export type Sources = Seam & { history: History | undefined }

const rowsPerBatch = 4_096

export const readingColumns = { sensor: 'text', timestamp: 'bigint', value: 'double' } as const

/** Of sums: one for each aggregate. */
export const intervalColumns = (aggregates: readonly Aggregate[]): Columns => ({
  sensor: 'text',
  timestamp: 'bigint',
  ...Object.fromEntries(aggregates.map((name) => [name, name === 'count' ? 'bigint' : 'double'])),
})

/** Each reading, oldest first unless that is reversed. */
export async function* readingRows(
  sources: Sources,
  question: SeriesQuestion & { isReversed: boolean; after: ReadingKey | undefined; limit: number },
  signal: AbortSignal,
): Rows {
  const { recent, coverage } = look(sources, question)
  const merge = new ReadingMerge(recent, question.limit, question.isReversed)
  const pages = sources.history?.pages({ ...question, limit: question.limit + 1 }, signal) ?? []
  for await (const page of pages) {
    yield readingBatch(merge.add(page))
    if (merge.next) break
  }
  yield readingBatch(merge.finish())
  const { next } = merge
  return { truncated: next !== undefined, next: next ? formatKeyset([next.timestamp, next.sensor]) : null, coverage }
}

const readingBatch = ({ timestamps, sensors, values }: PageColumns): ColumnBatch => ({
  columns: Object.keys(readingColumns),
  rowCount: timestamps.length,
  values: [sensors, timestamps, values],
})

/** What the readings of intervals come to. */
export async function* intervalRows(
  sources: Sources,
  question: SeriesQuestion & { aggregates: readonly Aggregate[]; intervalMs: number; fill: Fill },
  signal: AbortSignal,
): Rows {
  const { from, to, aggregates, intervalMs, fill } = question
  const grid = { origin: 0, bucketMs: intervalMs }
  const sensors = question.sensors.toSorted(compareBytes)
  const places = placesBetween(sensors, bucketStart(from, grid), bucketStart(to, grid), intervalMs)
  const rows = new IntervalRows(aggregates, fill, places)
  const columns = intervalColumns(aggregates)
  const { recent, coverage } = look(sources, question)
  for await (const buckets of bucketsOf(sources, question, grid, recent, signal))
    yield* batchesOf(columns, rows.add(buckets))
  yield* batchesOf(columns, rows.finish())
  return { truncated: false, next: null, coverage }
}

/** Readings that keep the shape of the curves, at most `maxPoints` of each sensor. */
export async function* curveRows(
  sources: Sources,
  question: SeriesQuestion & { maxPoints: number; downsampling: Downsampling },
  signal: AbortSignal,
): Rows {
  const { maxPoints, downsampling } = question
  const isExtremes = downsampling === 'minmax'
  const grid = isExtremes ? gridOf(question, maxPoints) : gridOfTriangles(question, maxPoints)
  const { recent, coverage } = look(sources, question)
  const bySensor = new Map<string, Bucket[]>(question.sensors.map((sensor) => [sensor, []]))
  for await (const buckets of bucketsOf(sources, question, grid, recent, signal))
    for (const bucket of buckets) bySensor.get(bucket.sensor)?.push(bucket)
  const points = [...bySensor].flatMap(([sensor, buckets]) => {
    const extremes = extremesOf(buckets)
    const samples = isExtremes ? extremes : largestTriangles(extremes, maxPoints)
    return samples.map(({ timestamp, value }) => ({ sensor, timestamp, value }))
  })
  points.sort((a, b) => a.timestamp - b.timestamp || compareBytes(a.sensor, b.sensor))
  yield* batchesOf(
    readingColumns,
    points.values().map(({ sensor, timestamp, value }) => [sensor, timestamp, value]),
  )
  return { truncated: false, next: null, coverage }
}

/** The window as it is now, and what an answer covers that is made of it. */
const look = ({ window, watermark }: Sources, question: Omit<PageQuestion, 'limit'>) => ({
  recent: recentPoints(window, question),
  coverage: coverageOf(question, { window, watermark }, 'readings'),
})

/**
 * Buckets are made by the engine up to the first reading that the window knows: from there on what both know has to count once,
 * and is read one by one.
 */
async function* bucketsOf(
  { history }: Sources,
  question: SeriesQuestion,
  grid: Grid,
  recent: readonly Point[],
  signal: AbortSignal,
): AsyncGenerator<Bucket[]> {
  const seam = recent[0]?.timestamp ?? question.to + 1
  const gatherer = new BucketGatherer(grid)
  const merge = new ReadingMerge(recent, Infinity)
  if (history && question.from < seam)
    for await (const parts of history.buckets({ ...question, ...grid, to: seam - 1 }, signal))
      yield [...gatherer.addBuckets(parts)]
  if (history && seam <= question.to)
    for await (const page of history.pages({ ...question, from: seam, limit: maxHistoryLimit }, signal))
      yield [...gatherer.addReadings(merge.add(page))]
  yield [...gatherer.addReadings(merge.finish()), ...gatherer.finish()]
}

function* batchesOf(shape: Columns, rows: Iterable<readonly Cell[]>): Generator<ColumnBatch> {
  const columns = Object.keys(shape)
  let values: Cell[][] = columns.map(() => [])
  for (const row of rows) {
    for (const [index, cell] of row.entries()) values[index]!.push(cell)
    if (values[0]!.length < rowsPerBatch) continue
    yield { columns, rowCount: rowsPerBatch, values }
    values = columns.map(() => [])
  }
  yield { columns, rowCount: values[0]!.length, values }
}
