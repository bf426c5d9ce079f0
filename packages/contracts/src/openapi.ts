import type { z } from 'zod'
import { SchemaComponents, type JsonSchema } from './json-schema.ts'
import { problems, type ProblemCode } from './problems.ts'
import { commonProblems, errorSchema, operations, type Operation } from './rest.ts'

/** The REST contract as an OpenAPI 3.1 document, made of the operations. */
export function openapiDocument(version: string): JsonSchema {
  const components = new SchemaComponents()
  const error = components.schemaOf(errorSchema)

  const parameters = ({ params, query }: Operation['request']): JsonSchema[] =>
    [...fields(params, 'path'), ...fields(query, 'query')].map(({ name, place, schema, isRequired }) => {
      const { description, example, ...rest } = components.schemaOf(schema)
      return {
        name,
        in: place,
        required: isRequired,
        ...(description !== undefined && { description }),
        ...(example !== undefined && { example }),
        schema: rest,
      }
    })

  const failures = (codes: readonly ProblemCode[]) =>
    Object.fromEntries(
      Map.groupBy(codes, (code) => problems[code].status)
        .entries()
        .map(([status, same]) => [
          String(status),
          {
            description: same.map((code) => problems[code].title).join(' '),
            content: { 'application/json': { schema: error } },
          },
        ]),
    )

  const paths: Record<string, JsonSchema> = {}
  for (const [operationId, { method, path, tag, summary, request, ok, problems: own }] of Object.entries<Operation>(
    operations,
  )) {
    paths[path] = {
      ...paths[path],
      [method]: {
        operationId,
        tags: [tag],
        summary,
        parameters: parameters(request),
        ...(request.body && {
          requestBody: {
            required: true,
            content: { 'application/json': { schema: components.schemaOf(request.body) } },
          },
        }),
        responses: {
          200: {
            description: ok.description,
            content: { 'application/json': { schema: components.schemaOf(ok.schema) } },
          },
          ...failures([...own, ...commonProblems]),
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

function* fields(object: z.ZodObject | undefined, place: 'path' | 'query') {
  for (const [name, schema] of Object.entries<z.ZodType>(object?.shape ?? {}))
    yield { name, place, schema, isRequired: !schema.safeParse(undefined).success }
}

const sorted = <V>(record: Record<string, V>): Record<string, V> =>
  Object.fromEntries(Object.entries(record).toSorted(([a], [b]) => (a < b ? -1 : 1)))
