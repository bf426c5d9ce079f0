import { z } from 'zod'
import { coverageSchema } from './coverage.ts'
import { vehicleIdSchema } from './identifiers.ts'
import { problemSchema } from './problems.ts'

// What the operations below /api/v1 have in common.

const earliestMs = 0
const latestMs = Date.parse('9999-12-31T23:59:59.999Z')
const dateTimePattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/i
const instantPattern = new RegExp(`^\\d{1,15}$|${dateTimePattern.source}`, 'i')

/** NaN: no such moment. */
function epochMs(text: string): number {
  if (!dateTimePattern.test(text)) return Number(text)
  const day = text.slice(0, 10)
  const midnight = new Date(`${day}T00:00:00Z`)
  // It takes the 30th of February for the 2nd of March.
  if (Number.isNaN(midnight.getTime()) || !midnight.toISOString().startsWith(day)) return Number.NaN
  return Date.parse(text.toUpperCase())
}

/** A moment since 1970, in the query: epoch milliseconds or RFC 3339. A handler gets epoch milliseconds. */
export const instantSchema = z
  .string()
  .regex(instantPattern)
  .transform((text, context) => {
    const ms = epochMs(text)
    if (ms >= earliestMs && ms <= latestMs) return ms
    context.addIssue({ code: 'custom', message: 'no moment between 1970 and 9999' })
    return z.NEVER
  })
  .meta({ description: 'Epoch milliseconds, or RFC 3339.', example: '2026-11-24T09:00:00Z' })

/** A whole number in the query. */
export const integerSchema = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,15}$/)
    .transform(Number)
    .pipe(z.int().min(min).max(max))
    .meta({ type: 'integer', pattern: undefined, minimum: min, maximum: max })

/** A list in the query, comma separated. A handler gets each item once, in its order. */
export const listSchema = <T>(item: z.ZodType<T, string>, max: number) =>
  z
    .string()
    .min(1)
    .transform((text) => [...new Set(text.split(','))])
    .pipe(z.array(item).min(1).max(max))

export const periodShape = {
  from: instantSchema.meta({
    description: 'Begin of the period, which belongs to it: epoch milliseconds or RFC 3339.',
  }),
  to: instantSchema
    .optional()
    .meta({ description: 'End of the period, which belongs to it. Now if absent or in the future.' }),
}

export const vehicleParams = z.object({ vehicle_id: vehicleIdSchema })

/** Where the next page begins, as the last answer said it. */
export const cursorSchema = z
  .string()
  .regex(/^[\w-]{1,8192}$/)
  .meta({ description: 'The `next` of the answer before: goes on behind it.' })

const orders = ['asc', 'desc'] as const
/** Oldest or newest first; rows of the same time turn round with the others. */
export const orderSchema = (absent: (typeof orders)[number]) =>
  z
    .enum(orders)
    .optional()
    .meta({ description: `Oldest first (\`asc\`) or newest first (\`desc\`). Default: \`${absent}\`.` })

/** How every answer of rows ends, whatever its form. */
export const endShape = {
  truncated: z.boolean().meta({ description: 'There are more rows: `limit` was reached.' }),
  next: z.string().nullable().meta({ description: 'The `cursor` of the next page; null: there is none.' }),
  coverage: coverageSchema,
}
export type RowsEnd = z.input<typeof rowsEndSchema>
export const rowsEndSchema = z.object(endShape)

/** A line of NDJSON: a row; or the last one, without which the answer is not whole. */
export const lineSchema = (row: z.ZodType) =>
  z.union([
    row,
    z.object({ end: rowsEndSchema.extend({ rows: z.int() }) }),
    z.object({ error: problemSchema }).meta({ description: 'What went wrong on the way; the connection is cut.' }),
  ])

const csvSchema = z.string().meta({ description: 'RFC 4180, with a header. Cut off: the connection is, too.' })

const parquetSchema = z.unknown().meta({
  description:
    'A file, whose metadata `flasktoria` is the JSON answer without its rows. Cut off: it has no end, and cannot be read.',
})

/** The other forms that rows of one kind come in. */
export const rowForms = (row: z.ZodType) => ({ ndjson: lineSchema(row), csv: csvSchema, parquet: parquetSchema })

/** What any question to the warehouse may meet. */
export const warehouseProblems = ['question_too_large', 'warehouse_unavailable', 'overloaded', 'query_timeout'] as const
