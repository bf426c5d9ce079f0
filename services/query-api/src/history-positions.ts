import type { Period, VehicleRange } from '@flasktoria/warehouse/queries'
import {
  latestSql,
  readLatest,
  readTrack,
  readVisitors,
  trackSql,
  visitorCountsSql,
  visitorsSql,
  type Fix,
  type LatestQuestion,
  type VehicleFix,
  type Visitor,
  type VisitorsQuestion,
} from '@flasktoria/warehouse/queries-positions'
import {
  countsSql,
  drivingSql,
  fuelUseSql,
  readCounts,
  readDriving,
  readFuelUse,
  type Driving,
  type DrivingQuestion,
  type FuelQuestion,
  type FuelUse,
} from '@flasktoria/warehouse/queries-use'
import type { TableFacts, TableProfile } from '@flasktoria/warehouse/table-profile'
import type { ColumnBatch, Warehouse } from '@flasktoria/warehouse/warehouse'
import { inSlices, vehicleRanges } from './use-slices.ts'
import { joinDriving, joinFuelUse } from './use-sums.ts'

type Ask = (
  question: string,
  table: TableFacts,
  sql: string,
  signal: AbortSignal,
  most?: number,
) => AsyncIterable<ColumnBatch>
type Sources = { warehouse: Warehouse; profile: TableProfile; maxRows: number; ask: Ask }

/** The engine sorts the rows of a slice in memory, and gives back sums. */
const pagesInSlice = 50
const stepMs = 5 * 60_000
const weekMs = 7 * 86_400_000

type Part = Period & { vehicle?: string | undefined; vehicles?: VehicleRange }

async function all<T>(batches: AsyncIterable<ColumnBatch>, read: (batch: ColumnBatch) => Iterable<T>): Promise<T[]> {
  const rows: T[] = []
  for await (const batch of batches) for (const row of read(batch)) rows.push(row)
  return rows
}

/** What the warehouse knows of where vehicles were and how they were used: see `createHistory`. */
export function createPositionQuestions({ warehouse, profile, maxRows, ask }: Sources) {
  // Spark makes room for all rows that a LIMIT allows, before it has read one.
  const { pageRows = maxRows } = warehouse
  const { sensor: table } = profile
  const limit = maxRows + 1
  const sliceRows = warehouse.pageRows === undefined ? undefined : warehouse.pageRows * pagesInSlice

  /** Engines that hold what they sort in memory are asked about some vehicles after the other, or about one by and by. */
  async function inParts<Sums extends { readings: number }>(
    question: Period & { vehicle?: string | undefined; sensor: string },
    everyMs: number,
    part: (one: Part) => Promise<Sums[]>,
    join: (slices: Sums[][]) => Sums[],
    signal: AbortSignal,
  ): Promise<Sums[]> {
    if (sliceRows === undefined) return part(question)
    const sizes = { stepMs: everyMs, firstMs: weekMs, sliceRows }
    const byAndBy = (vehicle: string) => inSlices(question, sizes, (slice) => part({ ...slice, vehicle })).then(join)
    if (question.vehicle !== undefined) return byAndBy(question.vehicle)
    const sql = countsSql(warehouse.dialect, profile, { ...question, limit })
    const fleet = await all(ask('use_counts', table, sql, signal), readCounts)
    const parts: Sums[][] = []
    for (const { readings, ...vehicles } of vehicleRanges(fleet, sliceRows))
      parts.push(readings > sliceRows ? await byAndBy(vehicles.first) : await part({ ...question, vehicles }))
    return parts.flat()
  }

  return {
    /** Without it, the tables say of no vehicle where it was. */
    hasPositions: table.position !== undefined,
    /** A question about one vehicle costs as much as one about all of them. */
    isByTimeOnly: table.rowKey !== undefined,

    /** Where a vehicle was, oldest first, one position a timestamp. */
    async *track({ from, ...question }: Period & { vehicle: string }, signal: AbortSignal): AsyncGenerator<Fix> {
      let last = from - 1
      let rows = pageRows
      while (rows === pageRows && last < question.to) {
        rows = 0
        const sql = trackSql(warehouse.dialect, profile, { ...question, from: last + 1, limit: pageRows })
        for await (const batch of ask('track', table, sql, signal, pageRows)) {
          rows += batch.rowCount
          for (const fix of readTrack(batch)) {
            if (fix.timestamp === last) continue
            last = fix.timestamp
            yield fix
          }
        }
      }
    },

    /** The last position of each vehicle, in the order of their ids. */
    latest: (question: LatestQuestion, signal: AbortSignal): Promise<VehicleFix[]> =>
      all(ask('latest', table, latestSql(warehouse.dialect, profile, question), signal), readLatest),

    /** Who was in a box, in the order of their ids. */
    async visitors(question: VisitorsQuestion, signal: AbortSignal): Promise<Visitor[]> {
      const part = (vehicles?: VehicleRange) => {
        const sql = visitorsSql(warehouse.dialect, profile, { ...question, vehicles })
        return all(ask('visitors', table, sql, signal), readVisitors)
      }
      if (sliceRows === undefined) return part()
      const sql = visitorCountsSql(warehouse.dialect, profile, question)
      const counts = await all(ask('visitor_counts', table, sql, signal), readCounts)
      const parts: Visitor[][] = []
      for (const { first, last } of vehicleRanges(counts, sliceRows)) parts.push(await part({ first, last }))
      return parts.flat()
    },

    driving: (question: Omit<DrivingQuestion, 'limit'>, signal: AbortSignal): Promise<Driving[]> => {
      const part = (one: Part) => {
        const sql = drivingSql(warehouse.dialect, profile, { ...question, ...one, limit })
        return all(ask('driving', table, sql, signal), readDriving)
      }
      return inParts(question, stepMs, part, (slices) => joinDriving(slices, question), signal)
    },

    fuelUse: (question: Omit<FuelQuestion, 'limit'>, signal: AbortSignal): Promise<FuelUse[]> => {
      const part = (one: Part) => {
        const sql = fuelUseSql(warehouse.dialect, profile, { ...question, ...one, limit })
        return all(ask('fuel_use', table, sql, signal), readFuelUse)
      }
      const join = (slices: FuelUse[][]) => joinFuelUse(slices, question.filledAbove)
      return inParts(question, question.intervalMs, part, join, signal)
    },
  }
}
