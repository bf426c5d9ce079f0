import { z } from 'zod'

/** The body of every answer that is not 2xx, whoever makes it: a service or nginx. */
export const errorSchema = z
  .object({
    code: z.int32().meta({ description: 'The HTTP status.' }),
    message: z.string(),
    fields: z.string().meta({ description: 'The offending parameters, comma separated, or empty.' }),
  })
  .meta({ id: 'Error' })
export type ErrorBody = z.infer<typeof errorSchema>

/** The same below /api/v1, as RFC 9457 has it. */
export const problemSchema = z
  .object({
    type: z.string().meta({ description: 'A URN that ends in `code`.' }),
    title: z.string().meta({ description: 'What such problems have in common.' }),
    status: z.int(),
    detail: z.string().meta({ description: 'What is wrong here, for a human.' }),
    code: z.string().meta({ description: 'What a program tells problems apart by.' }),
    fields: z.array(z.string()).meta({ description: 'The offending parameters.' }),
    requestId: z.string().meta({ description: 'What our log calls this request.' }),
  })
  .meta({ id: 'Problem' })
export type ProblemBody = z.infer<typeof problemSchema>
export const problemMediaType = 'application/problem+json'

/** Every problem that the API can answer with. `retryable`: the same request may succeed later. */
export const problems = {
  invalid_request: { status: 400, title: 'The request is malformed.', retryable: false },
  invalid_parameter: { status: 400, title: 'A parameter is missing or malformed.', retryable: false },
  question_too_large: { status: 400, title: 'The history has too little memory for this question.', retryable: false },
  not_found: { status: 404, title: 'There is nothing at this path.', retryable: false },
  method_not_allowed: { status: 405, title: 'This path does not know that method.', retryable: false },
  not_acceptable: { status: 406, title: 'There is no such form of the answer.', retryable: false },
  request_timeout: { status: 408, title: 'The request did not arrive in time.', retryable: true },
  body_too_large: { status: 413, title: 'The body is too large.', retryable: false },
  uri_too_long: { status: 414, title: 'The URL is too long.', retryable: false },
  too_many_requests: { status: 429, title: 'Too many requests.', retryable: true },
  headers_too_large: { status: 431, title: 'The request headers are too large.', retryable: false },
  internal: { status: 500, title: 'The server failed.', retryable: true },
  bad_gateway: { status: 502, title: 'A service behind this origin failed.', retryable: true },
  unavailable: { status: 503, title: 'The service is not available just now.', retryable: true },
  warehouse_unavailable: { status: 503, title: 'The history is not available just now.', retryable: true },
  overloaded: { status: 503, title: 'Too many questions at once.', retryable: true },
  gateway_timeout: { status: 504, title: 'A service behind this origin took too long.', retryable: true },
  query_timeout: { status: 504, title: 'The history took too long to answer.', retryable: true },
} as const
export type ProblemCode = keyof typeof problems
export type ProblemStatus = (typeof problems)[ProblemCode]['status']

export const errorBody = (
  code: ProblemCode,
  message: string = problems[code].title,
  fields: readonly string[] = [],
): ErrorBody => ({
  code: problems[code].status,
  message,
  fields: fields.join(','),
})

export const problemBody = (
  code: ProblemCode,
  requestId: string,
  detail: string = problems[code].title,
  fields: readonly string[] = [],
): ProblemBody => ({
  type: `urn:flasktoria:problem:${code}`,
  title: problems[code].title,
  status: problems[code].status,
  detail,
  code,
  fields: [...fields],
  requestId,
})
