import type { z } from 'zod'

type Option = { name: string; fallback: string; description: string; when: string }

/** What the schemas of this project are made of, as far as their documentation needs it. */
type Definition = {
  type: string
  in?: z.ZodType
  out?: z.ZodType
  innerType?: z.ZodType
  left?: z.ZodType
  right?: z.ZodType
  options?: z.ZodType[]
  discriminator?: string
  shape?: Record<string, z.ZodType>
  defaultValue?: string | number | boolean | object
  values?: unknown[]
}
const definitionOf = (schema: z.ZodType) => (schema as unknown as { def: Definition }).def

/** The options of a service's configuration as a Markdown table, in the order of the schema. */
export function configTable(schema: z.ZodType): string {
  const rows = new Map<string, Option>()
  for (const option of optionsOf(schema, '')) {
    const known = rows.get(option.name)
    if (!known) rows.set(option.name, option)
    else if (known.when !== option.when) known.when = [known.when, option.when].filter(Boolean).join(' or ')
  }
  const lines = [...rows.values()].map(
    ({ name, fallback, description, when }) =>
      `| \`${name}\` | ${fallback && `\`${fallback}\``} | ${description.replaceAll('|', String.raw`\|`)}${when && ` *With ${when}.*`} |`,
  )
  return ['| option | default | what it does |', '|---|---|---|', ...lines].join('\n')
}

function* optionsOf(schema: z.ZodType, when: string): Generator<Option> {
  const { type, in: input, out, left, right, options, discriminator, shape } = definitionOf(schema)
  if (type === 'pipe') yield* optionsOf(definitionOf(input!).type === 'transform' ? out! : input!, when)
  else if (type === 'intersection') for (const side of [left!, right!]) yield* optionsOf(side, when)
  else if (type === 'union') yield* alternatives(options!, discriminator!)
  else
    for (const [name, option] of Object.entries(shape!))
      yield { name, fallback: defaultOf(option), description: option.meta()?.description ?? '', when }
}

function* alternatives(options: z.ZodType[], discriminator: string): Generator<Option> {
  const values = options.map((option) => String(definitionOf(definitionOf(option).shape![discriminator]!).values![0]))
  yield {
    name: discriminator,
    fallback: '',
    description: `One of ${values.map((value) => `\`${value}\``).join(', ')}.`,
    when: '',
  }
  for (const [index, option] of options.entries())
    for (const row of optionsOf(option, `\`${discriminator}=${values[index]}\``))
      if (row.name !== discriminator) yield row
}

function defaultOf(schema: z.ZodType): string {
  const { type, in: input, innerType, defaultValue } = definitionOf(schema)
  if (type === 'pipe') return defaultOf(input!)
  if (type === 'default') return typeof defaultValue === 'object' ? '' : String(defaultValue)
  return innerType ? defaultOf(innerType) : ''
}
