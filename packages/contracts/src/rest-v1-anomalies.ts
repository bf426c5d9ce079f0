import { z } from 'zod'
import { severities } from './catalogue.ts'
import { vehicleIdSchema } from './identifiers.ts'
import type { Operation } from './operation.ts'
import {
  cursorSchema,
  endShape,
  integerSchema,
  listSchema,
  orderSchema,
  periodShape,
  rowForms,
  warehouseProblems,
} from './rest-v1.ts'
import { timestampSchema } from './updates.ts'

export const countedBy = ['type', 'vehicle', 'severity', 'hour', 'day'] as const
export type CountedBy = (typeof countedBy)[number]

/** More than any catalogue has; and rows that nobody reads by hand. */
const maxTypes = 1_000
export const maxAnomalyRows = 1_000_000
export const defaultAnomalyRows = 1_000

const typeSchema = z
  .string()
  .regex(/^-?\d{1,9}$/)
  .transform(Number)

const severitySchema = z.enum(severities)

const filterShape = {
  ...periodShape,
  vehicle: vehicleIdSchema.optional().meta({ description: 'Of this vehicle only.' }),
  type: listSchema(typeSchema, maxTypes)
    .optional()
    .meta({ description: 'Types, the ids of the anomaly catalogue, comma separated.', example: '0,3' }),
  severity: listSchema(severitySchema, severities.length)
    .optional()
    .meta({ description: 'Of the types that the catalogue takes for so severe, comma separated.', example: 'high' }),
}

const anomalyRowSchema = z
  .object({
    vehicle: vehicleIdSchema,
    timestamp: timestampSchema,
    type: z.int().meta({ description: 'Its id in the anomaly catalogue.' }),
    severity: severitySchema.nullable().meta({ description: 'Null: the catalogue does not know the type.' }),
    description: z.string(),
    cause: z.string(),
    actions: z.string().meta({ description: 'What to do, its parts separated by `/`.' }),
    costImpact: z.number(),
    downtimeMinutes: z.number(),
    detectionTime: z.string().meta({ description: 'As the record has it.' }),
    confirmationTime: z.string().meta({ description: 'As the record has it.' }),
  })
  .meta({ id: 'AnomalyRow' })
export type AnomalyRow = z.infer<typeof anomalyRowSchema>

const anomalyCountSchema = z
  .object({
    key: z.union([z.string(), z.int(), z.null()]).meta({
      description: 'The type, the vehicle, the severity (null: unknown), or when the hour or the day begins.',
    }),
    count: z.int(),
  })
  .meta({ id: 'AnomalyCount' })

export const anomalyOperations = {
  listAnomalies: {
    method: 'get',
    path: '/api/v1/anomalies',
    tag: 'history',
    summary: 'Anomalies in a period, of all types that there were; each once.',
    request: {
      query: z.object({
        ...filterShape,
        limit: integerSchema(1, maxAnomalyRows)
          .optional()
          .meta({ description: `Most rows of the answer; ${defaultAnomalyRows} if absent.` }),
        order: orderSchema('desc'),
        cursor: cursorSchema.optional(),
      }),
    },
    ok: {
      description:
        'The anomalies, newest first; those of one time in the order of vehicle, type and detection time. With `order=asc` all of it turns round.',
      schema: z
        .object({ from: timestampSchema, to: timestampSchema, rows: z.array(anomalyRowSchema), ...endShape })
        .meta({ id: 'AnomalyPage' }),
      otherForms: rowForms(anomalyRowSchema),
    },
    problems: ['invalid_parameter', 'not_acceptable', ...warehouseProblems],
  },
  countAnomalies: {
    method: 'get',
    path: '/api/v1/anomalies/counts',
    tag: 'history',
    summary: 'How many anomalies there were in a period, by type, vehicle, severity, hour or day.',
    request: {
      query: z.object({
        ...filterShape,
        by: z.enum(countedBy).meta({ description: 'What is counted apart. Hours and days are those of UTC.' }),
        limit: integerSchema(1, maxAnomalyRows)
          .optional()
          .meta({ description: `Most rows of the answer; ${defaultAnomalyRows} if absent.` }),
      }),
    },
    ok: {
      description: 'The counts: the greatest first, those of hours and days in order of time. None is 0.',
      schema: z
        .object({
          from: timestampSchema,
          to: timestampSchema,
          by: z.enum(countedBy),
          rows: z.array(anomalyCountSchema),
          ...endShape,
        })
        .meta({ id: 'AnomalyCounts' }),
      otherForms: rowForms(anomalyCountSchema),
    },
    problems: ['invalid_parameter', 'not_acceptable', ...warehouseProblems],
  },
} as const satisfies Record<string, Operation>
