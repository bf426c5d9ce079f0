import type { z } from 'zod'
import { SchemaComponents, type JsonSchema } from './json-schema.ts'
import { formatsOf, isV1, mediaTypes, queryOf, type Operation } from './operation.ts'
import { problemMediaType, problems, problemSchema, type ProblemCode } from './problems.ts'
import { commonProblems, errorSchema, operations } from './rest.ts'

/** The REST contract as an OpenAPI 3.1 document, made of the operations. */
export function openapiDocument(version: string): JsonSchema {
  const components = new SchemaComponents()
  const errors = {
    old: { 'application/json': { schema: components.schemaOf(errorSchema) } },
    v1: { [problemMediaType]: { schema: components.schemaOf(problemSchema) } },
  }

  const parameters = (operation: Operation): JsonSchema[] =>
    [...fields(operation.request.params?.shape ?? {}, 'path'), ...fields(queryOf(operation), 'query')].map(
      ({ name, place, schema, isRequired }) => {
        const { description, example, ...rest } = components.schemaOf(schema)
        return {
          name,
          in: place,
          required: isRequired,
          ...(description !== undefined && { description }),
          ...(example !== undefined && { example }),
          schema: rest,
        }
      },
    )

  const forms = (operation: Operation): JsonSchema =>
    Object.fromEntries(
      formatsOf(operation).map((format) => {
        const schema = format === 'json' ? operation.ok.schema : operation.ok.otherForms![format]!
        return [mediaTypes[format], { schema: components.schemaOf(schema) }]
      }),
    )

  const paths: Record<string, JsonSchema> = {}
  for (const [operationId, operation] of Object.entries<Operation>(operations)) {
    const { method, path, tag, summary, request, ok, problems: own } = operation
    paths[path] = {
      ...paths[path],
      [method]: {
        operationId,
        tags: [tag],
        summary,
        parameters: parameters(operation),
        ...(request.body && {
          requestBody: {
            required: true,
            content: { 'application/json': { schema: components.schemaOf(request.body) } },
          },
        }),
        responses: {
          200: {
            description: ok.description,
            content: forms(operation),
          },
          ...(method === 'get' && { 304: { description: 'The client has it already, as `If-None-Match` says.' } }),
          ...failures([...own, ...commonProblems], isV1(path) ? errors.v1 : errors.old),
        },
      },
    }
  }

  return {
    openapi: '3.1.0',
    info: {
      title: 'Flasktoria',
      version,
      description: 'The backend of Smart Transport: vehicles, sensors, anomalies and costs, live and historical.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/', description: 'The origin that served this document.' }],
    tags: [
      { name: 'live', description: 'The fleet as it is now.' },
      { name: 'history', description: 'What it did before.' },
    ],
    paths,
    components: { schemas: sorted(components.schemas) },
  }
}

const failures = (codes: readonly ProblemCode[], content: JsonSchema) =>
  Object.fromEntries(
    Map.groupBy(codes, (code) => problems[code].status)
      .entries()
      .map(([status, same]) => [
        String(status),
        {
          description: same.map((code) => problems[code].title).join(' '),
          content,
        },
      ]),
  )

function* fields(shape: Record<string, z.ZodType>, place: 'path' | 'query') {
  for (const [name, schema] of Object.entries(shape))
    yield { name, place, schema, isRequired: !schema.safeParse(undefined).success }
}

const sorted = <V>(record: Record<string, V>): Record<string, V> =>
  Object.fromEntries(Object.entries(record).toSorted(([a], [b]) => (a < b ? -1 : 1)))
