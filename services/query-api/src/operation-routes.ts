import { isV1, queryOf, type Operation } from '@flasktoria/contracts/operation'
import { operations, type OperationId } from '@flasktoria/contracts/rest'
import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import type { Context, Handler, Hono, MiddlewareHandler } from 'hono'
import { z } from 'zod'
import { answerJson } from './conditional.ts'
import { readJson } from './json-body.ts'
import { Problem } from './problem.ts'
import type { RequestEnv } from './request-env.ts'

type Requests = { [Id in OperationId]: (typeof operations)[Id]['request'] }
type Part<Id extends OperationId, Name extends keyof Operation['request']> = Requests[Id] extends {
  [N in Name]: infer Schema extends z.ZodType
}
  ? z.output<Schema>
  : unknown

type FormOf<Id extends OperationId> = (typeof operations)[Id]['ok'] extends { otherForms: infer Forms }
  ? 'json' | keyof Forms
  : never

/** What a handler gets: everything validated as the contract says. */
export type Question<Id extends OperationId> = {
  parameters: Part<Id, 'params'> & Part<Id, 'query'> & { format?: FormOf<Id> | undefined }
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

type Check = (c: Context<RequestEnv>) => void

/** Serves the contract's operations. */
export function serveOperations(
  app: OpenAPIHono<RequestEnv>,
  handlers: Handlers,
  options: {
    maxBodyBytes: number
    /** What a question about the past has to pass first. */
    beforeHistory: readonly Check[]
  },
): void {
  for (const id of Object.keys(operations) as OperationId[]) {
    const { method, request }: Operation = operations[id]
    const handler = handlers[id] as AnyHandler
    const answer = async (c: Context<RequestEnv, string, ValidInput>) => {
      const parameters = { ...c.req.valid('query'), ...c.req.valid('param') }
      const body = request.body && checkBody(request.body, await readJson(c.req.raw, options.maxBodyBytes))
      const result = await handler({ parameters, body }, c)
      if (result instanceof Response) return result
      return method === 'get' ? answerJson(c, JSON.stringify(result)) : c.json(result)
    }
    app.openapi(routeOf(id, options.beforeHistory), answer as never, refuse)
  }
  const byPath = Map.groupBy(Object.values<Operation>(operations), ({ path }) => path)
  for (const [path, served] of byPath)
    refuseOtherMethods(
      app,
      path.replaceAll(/\{(\w+)\}/g, ':$1'),
      served.map(({ method }) => method.toUpperCase()),
    )
}

type AnyHandler = (question: { parameters: object; body: unknown }, c: Context<RequestEnv>) => object | Promise<object>
type ValidInput = { out: { query: object; param: object } }

/** The body is not among what the route validates: it is JSON whatever its content type says, see json-body.ts. */
function routeOf(id: OperationId, beforeHistory: readonly Check[]) {
  const operation: Operation = operations[id]
  const { method, path, tag, summary, request, ok } = operation
  const query = queryOf(operation)
  const inPath = Object.keys(request.params?.shape ?? {})
  const checks = tag === 'history' ? [...beforeHistory] : []
  if (inPath.length > 0) checks.unshift((c) => refuseUndecodable(c, inPath))
  if (isV1(path)) checks.push((c) => refuseStrangers(c, Object.keys(query)))
  const isAskedForNothing = Object.keys(query).length === 0
  return createRoute({
    method,
    path,
    tags: [tag],
    summary,
    operationId: id,
    middleware: begin(id, checks),
    request: {
      ...(request.params && { params: request.params }),
      ...(!isAskedForNothing && { query: isV1(path) ? z.object(query) : firstOfEach(query) }),
    },
    responses: { 200: { description: ok.description, content: { 'application/json': { schema: ok.schema } } } },
  })
}

/** What comes before the parameters are looked at, in one step: each costs every request. */
const begin =
  (id: OperationId, checks: readonly Check[]): MiddlewareHandler<RequestEnv> =>
  (c, next) => {
    c.set('operation', id)
    for (const check of checks) check(c)
    return next()
  }

function refuseUndecodable(c: Context, inPath: readonly string[]): void {
  if (!isDecodable(c.req.raw.url))
    throw new Problem('invalid_parameter', 'The path holds a malformed percent-encoding.', inPath)
}

/** A parameter that is unknown, or stands twice, is a mistake that would go unnoticed. */
function refuseStrangers(c: Context, known: readonly string[]): void {
  const names = Object.entries(c.req.queries())
  const unknown = names.map(([name]) => name).filter((name) => !known.includes(name))
  if (unknown.length > 0)
    throw new Problem('invalid_parameter', `There is no parameter ${unknown.join(', ')}.`, unknown)
  const repeated = names.filter(([, values]) => values.length > 1).map(([name]) => name)
  if (repeated.length > 0) throw new Problem('invalid_parameter', `${repeated.join(', ')} stands twice.`, repeated)
}

/** Of a repeated parameter the first one counts; unknown ones are ignored. */
const firstOfEach = (shape: Record<string, z.ZodType>) =>
  z.object(
    Object.fromEntries(
      Object.entries(shape).map(([name, schema]) => [
        name,
        z.preprocess((value: unknown) => (Array.isArray(value) ? value[0] : value), schema),
      ]),
    ),
  )

function refuse(result: { success: true } | { success: false; error: z.ZodError }, c: Context): undefined {
  if (result.success) return undefined
  const names = [...new Set(result.error.issues.map(({ path }) => String(path[0])))]
  const isThere = (name: string) => (c.req.query(name) ?? c.req.param(name)) !== undefined
  const complaints = names.map((name) => `${name} is ${isThere(name) ? 'malformed' : 'missing'}`)
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
  refuseOtherMethods(app, path, Object.keys(handlers))
}

function refuseOtherMethods(app: Hono<RequestEnv>, path: string, served: readonly string[]): void {
  const methods = served.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method]))
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
