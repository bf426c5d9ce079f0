import { z } from 'zod'
import { sensorIdSchema, vehicleIdSchema } from './identifiers.ts'
import type { Operation } from './operation.ts'
import {
  cursorSchema,
  endShape,
  integerSchema,
  listSchema,
  orderSchema,
  periodShape,
  rowForms,
  vehicleParams,
  warehouseProblems,
} from './rest-v1.ts'
import { timestampSchema } from './updates.ts'

export const aggregates = ['min', 'max', 'avg', 'count', 'last'] as const
export type Aggregate = (typeof aggregates)[number]
export const fills = ['none', 'null', 'previous'] as const
export type Fill = (typeof fills)[number]
export const downsamplings = ['minmax', 'lttb'] as const
export type Downsampling = (typeof downsamplings)[number]

const maxSensors = 200
/** Of one sensor: more than any screen has columns. */
export const maxPoints = 10_000
export const maxHistoryLimit = 100_000_000

const sumSchema = z.number().nullable().optional()
export const historyRowSchema = z
  .object({
    sensor: z.string(),
    timestamp: timestampSchema,
    value: z.number().optional().meta({ description: 'The reading.' }),
    min: sumSchema,
    max: sumSchema,
    avg: sumSchema,
    count: z.int().optional(),
    last: sumSchema,
  })
  .meta({
    id: 'HistoryRow',
    description: 'A reading, or with `agg` what the readings of an interval come to, at its begin.',
  })

export const historyOperations = {
  getVehicleHistory: {
    method: 'get',
    path: '/api/v1/vehicles/{vehicle_id}/history',
    tag: 'history',
    summary: 'Readings of some sensors of a vehicle in a period: each one, some that keep the shape, or sums.',
    request: {
      params: vehicleParams,
      query: z.object({
        sensors: listSchema(sensorIdSchema, maxSensors).meta({ description: 'Sensor ids, comma separated.' }),
        ...periodShape,
        limit: integerSchema(1, maxHistoryLimit)
          .optional()
          .meta({ description: 'Most rows of the answer; absent: as many as the server gives.' }),
        order: orderSchema('asc'),
        cursor: cursorSchema.optional(),
        maxPoints: integerSchema(4, maxPoints).optional().meta({
          description: 'At most so many readings of each sensor, chosen so that its curve keeps its shape.',
        }),
        downsample: z.enum(downsamplings).optional().meta({
          description:
            'How `maxPoints` chooses: the least and the greatest reading of each bucket of time (default), or the largest triangles among these. Nothing is drawn where there was nothing.',
        }),
        agg: listSchema(z.enum(aggregates), aggregates.length)
          .optional()
          .meta({ description: '`min`, `max`, `avg`, `count`, `last`, comma separated: per sensor and `interval`.' }),
        interval: integerSchema(1_000, 366 * 86_400_000)
          .optional()
          .meta({ description: 'Length of the intervals of `agg`, in milliseconds; they begin at multiples of it.' }),
        fill: z.enum(fills).optional().meta({
          description: 'Rows of intervals without a reading: none (default), with null, or as the one before.',
        }),
      }),
    },
    ok: {
      description:
        'The readings, oldest first; those of one time in the order of their sensors. With `order=desc` all of it turns round.',
      schema: z
        .object({
          vehicle: vehicleIdSchema,
          from: timestampSchema,
          to: timestampSchema,
          bucketMs: z.int().optional().meta({ description: 'With `maxPoints`: the length of a bucket.' }),
          rows: z.array(historyRowSchema),
          ...endShape,
        })
        .meta({ id: 'VehicleHistory' }),
      otherForms: rowForms(historyRowSchema),
    },
    problems: ['invalid_parameter', 'not_acceptable', ...warehouseProblems],
  },
} as const satisfies Record<string, Operation>
