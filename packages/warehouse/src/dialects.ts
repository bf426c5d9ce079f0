import type { Dialect } from './dialect.ts'

type Escapes = Readonly<Record<string, string>>

/** `''` is the only escape, and a backslash is a backslash. */
const doubledQuotes: Escapes = { "'": "''" }
/** `''` is no escape: two literals stand side by side, and are joined to one without the quote. */
const backslashes: Escapes = { '\\': '\\\\', "'": "\\'", '\n': '\\n', '\r': '\\r' }
/** Hive and Spark replace `${env:…}` and the like in the whole statement, literals too, before they parse it. */
const backslashesAndDollar: Escapes = { ...backslashes, $: '\\u0024' }

const literal = (escapes: Escapes) => {
  const special = new RegExp(`[${Object.keys(escapes).join('').replace('\\', '\\\\')}]`, 'g')
  return (value: string): string => {
    if (value.includes('\0')) throw new RangeError('SQL text cannot hold a NUL character')
    if (!value.isWellFormed()) throw new RangeError('SQL text cannot hold a lone surrogate')
    return `'${value.replace(special, (character) => escapes[character]!)}'`
  }
}

const integer = (value: number): string => {
  if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is no safe integer`)
  return String(value)
}

const quoted = (quote: '"' | '`') => (name: string) => {
  if (name === '' || /["'`\\$\p{Cc}]/u.test(name))
    throw new RangeError(`${JSON.stringify(name)} cannot be an identifier`)
  return `${quote}${name}${quote}`
}

const cast = (expression: string, type: string) => `CAST(${expression} AS ${type.toUpperCase()})`
const tryCast = (expression: string, type: string) => `TRY_CAST(${expression} AS ${type.toUpperCase()})`

const argument =
  (name: string) =>
  (expression: string, ...keys: readonly string[]) =>
    `${name}(${expression}, ${keys.length === 1 ? keys[0] : `row(${keys.join(', ')})`})`

const duckdb: Dialect = {
  name: 'duckdb',
  text: literal(doubledQuotes),
  integer,
  identifier: quoted('"'),
  tryCast,
  rowOf: { least: argument('arg_min'), greatest: argument('arg_max') },
  refresh: undefined,
}

const spark: Dialect = {
  name: 'spark',
  text: literal(backslashesAndDollar),
  integer,
  identifier: quoted('`'),
  tryCast,
  rowOf: undefined,
  refresh: (table) => `REFRESH TABLE ${table}`,
}

const hive: Dialect = {
  name: 'hive',
  text: literal(backslashesAndDollar),
  integer,
  identifier: quoted('`'),
  tryCast: cast,
  rowOf: undefined,
  refresh: undefined,
}

const impala: Dialect = {
  name: 'impala',
  text: literal(backslashes),
  integer,
  identifier: quoted('`'),
  tryCast: cast,
  rowOf: undefined,
  refresh: (table) => `REFRESH ${table}`,
}

export const dialects = { duckdb, spark, hive, impala } as const satisfies Record<Dialect['name'], Dialect>
