import { z } from 'zod'

export type JsonSchema = { [key: string]: unknown }

/**
 * Collects the JSON Schemas of a document: named schemas (those with `meta.id`) become components, once each, and are
 * referred to; anonymous ones stand inline.
 */
export class SchemaComponents {
  readonly schemas: Record<string, JsonSchema> = {}

  /** The schema as it stands at its place in the document: a reference, or inline. Objects stay open for further fields. */
  schemaOf(schema: z.ZodType): JsonSchema {
    // A wrapped schema is written as a reference even when it is a named one itself.
    const { properties, $defs } = relocate(z.toJSONSchema(z.object({ schema }), { io: 'input' }))
    for (const [name, { id: _id, ...definition }] of Object.entries($defs ?? {})) this.schemas[name] = definition
    return properties.schema
  }
}

type Wrapped = { properties: { schema: JsonSchema }; $defs?: Record<string, JsonSchema> }

const relocate = (wrapped: object): Wrapped =>
  JSON.parse(JSON.stringify(wrapped).replaceAll('"#/$defs/', '"#/components/schemas/'))
