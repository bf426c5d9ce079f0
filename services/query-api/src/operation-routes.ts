import { operations, type Operation, type OperationId } from '@flasktoria/contracts/rest'
import type { Context, Handler, Hono } from 'hono'
import { z } from 'zod'
import { readJson } from './json-body.ts'
import { Problem } from './problem.ts'
import type { RequestEnv } from './request-env.ts'

type Requests = { [Id in OperationId]: (typeof operations)[Id]['request'] }
type Part<Id extends OperationId, Name extends keyof Operation['request']> = Requests[Id] extends {
  [N in Name]: infer Schema extends z.ZodType
}
  ? z.output<Schema>
  : unknown

/** What a handler gets: everything validated as the contract says. */
type Question<Id extends OperationId> = {
  parameters: Part<Id, 'params'> & Part<Id, 'query'>
  body: Part<Id, 'body'>
}
type Answer<Id extends OperationId> = z.input<(typeof operations)[Id]['ok']['schema']>

/** One for each operation of the contract. A response instead of an answer is for those too big to be built at once. */
export type Handlers = {
  [Id in OperationId]: (
    question: Question<Id>,
    c: Context<RequestEnv>,
  ) => Answer<Id> | Response | Promise<Answer<Id> | Response>
}

/** Serves the contract's operations. */
export function serveOperations(app: Hono<RequestEnv>, handlers: Handlers, options: { maxBodyBytes: number }): void {
  const byPath = Map.groupBy(Object.keys(operations) as OperationId[], (id) => operations[id].path)
  for (const [path, ids] of byPath)
    serveMethods(
      app,
      path.replaceAll(/\{(\w+)\}/g, ':$1'),
      Object.fromEntries(
        ids.map((id) => [operations[id].method.toUpperCase(), answerTo(id, handlers[id] as AnyHandler, options)]),
      ),
    )
}

type AnyHandler = (question: { parameters: object; body: unknown }, c: Context<RequestEnv>) => object | Promise<object>

function answerTo(
  id: OperationId,
  handler: AnyHandler,
  { maxBodyBytes }: { maxBodyBytes: number },
): Handler<RequestEnv> {
  const { params, query, body }: Operation['request'] = operations[id].request
  const parametersSchema = z.object({ ...params?.shape, ...query?.shape })
  return async (c) => {
    c.set('operation', id)
    const parameters = readParameters(c, parametersSchema, Object.keys(params?.shape ?? {}))
    const question = { parameters, body: body && checkBody(body, await readJson(c.req.raw, maxBodyBytes)) }
    const answer = await handler(question, c)
    return answer instanceof Response ? answer : c.json(answer)
  }
}

/** Of a repeated parameter the first one counts; unknown ones are ignored. */
function readParameters(c: Context<RequestEnv>, schema: z.ZodObject, inPath: readonly string[]): object {
  if (inPath.length > 0 && !isDecodable(c.req.raw.url))
    throw new Problem('invalid_parameter', 'The path holds a malformed percent-encoding.', inPath)
  const raw: Record<string, string> = { ...c.req.query(), ...c.req.param() }
  const result = schema.safeParse(raw)
  if (result.success) return result.data
  const names = [...new Set(result.error.issues.map(({ path }) => String(path[0])))]
  const complaints = names.map((name) => `${name} is ${Object.hasOwn(raw, name) ? 'malformed' : 'missing'}`)
  throw new Problem('invalid_parameter', `${complaints.join(', ')}.`, names)
}

function isDecodable(url: string): boolean {
  try {
    decodeURIComponent(url.split('?', 1)[0]!)
    return true
  } catch {
    return false
  }
}

function checkBody(schema: z.ZodType, body: unknown): unknown {
  const result = schema.safeParse(body)
  if (result.success) return result.data
  const { issues } = result.error
  const names = issues.flatMap(({ path }) => path.findLast((step) => typeof step === 'string') ?? [])
  const complaint = issues.map(({ path, message }) => `${['$', ...path].join('.')}: ${message}`)[0]
  throw new Problem('invalid_request', `The body is malformed: ${complaint}`, [...new Set(names)])
}

/** Serves one path: HEAD comes with GET, OPTIONS says what there is, everything else is 405. */
export function serveMethods(app: Hono<RequestEnv>, path: string, handlers: Record<string, Handler<RequestEnv>>): void {
  for (const [method, handler] of Object.entries(handlers)) app.on(method, path, handler)
  const methods = Object.keys(handlers).flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method]))
  const allow = [...methods, 'OPTIONS'].join(', ')
  app.all(path, (c) => {
    if (c.req.method === 'OPTIONS') return preflight(c, allow)
    c.header('Allow', allow)
    throw new Problem('method_not_allowed')
  })
}

export function preflight(c: Context<RequestEnv>, methods: string): Response {
  c.header('Allow', methods)
  c.header('Access-Control-Allow-Methods', methods)
  const headers = c.req.header('Access-Control-Request-Headers')
  if (headers !== undefined) c.header('Access-Control-Allow-Headers', headers)
  return c.body(null, 200)
}
