import { maxHistoryLimit, type Downsampling } from '@flasktoria/contracts/rest-v1-history'
import { sensorIdSchema } from '@flasktoria/contracts/identifiers'
import { z } from 'zod'
import { gridOf } from './downsample.ts'
import type { HandlerDependencies } from './handlers.ts'
import type { HistoryGate } from './history-gate.ts'
import {
  curveRows,
  intervalColumns,
  intervalRows,
  readingColumns,
  readingRows,
  type SeriesQuestion,
} from './history-rows.ts'
import { parseKeyset } from './keyset-cursor.ts'
import { negotiate } from './negotiation.ts'
import type { Handlers, Question } from './operation-routes.ts'
import { periodOf } from './period.ts'
import { Problem } from './problem.ts'
import type { Columns } from './row-formats.ts'
import { answerRows, type Rows } from './rows-answer.ts'

const keySchema = z
  .tuple([z.int().nonnegative(), sensorIdSchema])
  .transform(([timestamp, sensor]) => ({ timestamp, sensor }))

/** Of one answer: they are chosen and put in order in one go. */
const maxCurvePoints = 100_000

type Parameters = Question<'getVehicleHistory'>['parameters']
type Plan = { columns: Columns; bucketMs?: number; rows: (signal: AbortSignal) => Rows }

export function createHistoryHandlers(
  { window, watermark, history, limits, now }: HandlerDependencies,
  gate: HistoryGate,
): Pick<Handlers, 'getVehicleHistory'> {
  const sources = { window, watermark, history }

  function plan(parameters: Parameters, question: SeriesQuestion): Plan {
    const {
      agg,
      interval,
      fill = 'none',
      maxPoints,
      downsample = 'minmax',
      order,
      cursor,
      limit = maxHistoryLimit,
    } = parameters
    if (agg && interval !== undefined) {
      boundIntervals(question, interval, limits.rows)
      const asked = { ...question, aggregates: agg, intervalMs: interval, fill }
      return { columns: intervalColumns(agg), rows: (signal) => intervalRows(sources, asked, signal) }
    }
    if (maxPoints !== undefined) {
      boundPoints(question, maxPoints)
      const asked = { ...question, maxPoints, downsampling: downsample }
      return {
        columns: readingColumns,
        ...bucketMsOf(question, maxPoints, downsample),
        rows: (signal) => curveRows(sources, asked, signal),
      }
    }
    const asked = { ...question, isReversed: order === 'desc', after: parseKeyset(cursor, keySchema), limit }
    return { columns: readingColumns, rows: (signal) => readingRows(sources, asked, signal) }
  }

  return {
    getVehicleHistory: ({ parameters }, c) => {
      refuseContradictions(parameters)
      const { vehicle_id: vehicle, sensors, format } = parameters
      if (sensors.length > limits.sensorIds)
        throw new Problem('invalid_parameter', `sensors names more than ${limits.sensorIds} sensors.`, ['sensors'])
      const period = periodOf(parameters, now())
      const { columns, rows, ...head } = plan(parameters, { vehicle, sensors, ...period })
      const signal = c.get('signal')
      return answerRows(c, {
        format: negotiate(c, format),
        columns,
        head: { vehicle, ...period, ...head },
        rows: gate.stream(signal, rows),
      })
    },
  }
}

/** Parameters that would say nothing, or two things at once. */
function refuseContradictions({ agg, interval, fill, maxPoints, downsample, order, cursor, limit }: Parameters): void {
  const isWhole = agg !== undefined || maxPoints !== undefined
  const refused: [isRefused: boolean, message: string, fields: string[]][] = [
    [(agg === undefined) !== (interval === undefined), 'agg and interval belong together.', ['agg', 'interval']],
    [fill !== undefined && agg === undefined, 'fill belongs to agg.', ['fill']],
    [downsample !== undefined && maxPoints === undefined, 'downsample belongs to maxPoints.', ['downsample']],
    [agg !== undefined && maxPoints !== undefined, 'Ask for agg or for maxPoints.', ['agg', 'maxPoints']],
    [isWhole && cursor !== undefined, 'An answer with agg or maxPoints has one page.', ['cursor']],
    [isWhole && order !== undefined, 'An answer with agg or maxPoints comes oldest first.', ['order']],
    [isWhole && limit !== undefined, 'An answer with agg or maxPoints has no limit.', ['limit']],
  ]
  for (const [isRefused, message, fields] of refused)
    if (isRefused) throw new Problem('invalid_parameter', message, fields)
}

function boundIntervals({ from, to, sensors }: SeriesQuestion, interval: number, maxRows: number): void {
  const intervals = Math.floor(to / interval) - Math.floor(from / interval) + 1
  if (intervals * sensors.length <= maxRows) return
  throw new Problem(
    'invalid_parameter',
    `These are more than ${maxRows} intervals: ask for longer ones, or for a shorter period.`,
    ['interval', 'from', 'to'],
  )
}

function boundPoints({ sensors }: SeriesQuestion, maxPoints: number): void {
  if (maxPoints * sensors.length <= maxCurvePoints) return
  throw new Problem(
    'invalid_parameter',
    `These are more than ${maxCurvePoints} points: ask for fewer of each sensor.`,
    ['maxPoints', 'sensors'],
  )
}

/** Triangles choose where they stand for themselves. */
const bucketMsOf = (period: SeriesQuestion, maxPoints: number, downsampling: Downsampling) =>
  downsampling === 'minmax' ? { bucketMs: gridOf(period, maxPoints).bucketMs } : {}
