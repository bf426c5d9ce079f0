import { z } from 'zod'
import type { ProblemCode } from './problems.ts'

/** The forms that an answer may have, each with its media type. */
export const mediaTypes = {
  json: 'application/json',
  ndjson: 'application/x-ndjson',
  csv: 'text/csv',
  parquet: 'application/vnd.apache.parquet',
  geojson: 'application/geo+json',
} as const
export type Format = keyof typeof mediaTypes

/** One operation of the REST contract as plain data. Its path is a template, relative to the origin. */
export type Operation = {
  method: 'get' | 'post'
  path: `/api/${string}`
  tag: 'live' | 'history'
  summary: string
  request: { params?: z.ZodObject; query?: z.ZodObject; body?: z.ZodType }
  ok: {
    description: string
    /** As JSON. */
    schema: z.ZodType
    /** The other forms, which `format` or the `Accept` header asks for. NDJSON: the schema of a line. */
    otherForms?: Partial<Record<Exclude<Format, 'json'>, z.ZodType>>
  }
  problems: readonly ProblemCode[]
}

/** Below it, every problem is `application/problem+json`, and a parameter that the operation does not know is one. */
export const isV1 = (path: string): boolean => path === '/api/v1' || path.startsWith('/api/v1/')

/** JSON first: it is what a caller gets who does not mind. */
export const formatsOf = ({ ok }: Pick<Operation, 'ok'>): Format[] => [
  'json',
  ...(Object.keys(ok.otherForms ?? {}) as Format[]),
]

/** The query parameters of an operation, with the choice of the form where there is one. */
export function queryOf(operation: Pick<Operation, 'request' | 'ok'>): Record<string, z.ZodType> {
  const formats = formatsOf(operation)
  return {
    ...operation.request.query?.shape,
    ...(formats.length > 1 && {
      format: z.enum(formats).optional().meta({ description: 'The form of the answer; absent: as `Accept` says.' }),
    }),
  }
}
