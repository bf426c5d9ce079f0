import { DuckDBInstance } from '@duckdb/node-api'
import * as fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import type { Dialect } from './dialect.ts'
import { dialects } from './dialects.ts'
import { queryKinds, type QueryKind } from './queries.conformance.ts'
import { tableProfiles, type TableProfile } from './table-profile.ts'

const instance = await DuckDBInstance.create(':memory:')
const connection = await instance.connect()
afterAll(() => {
  connection.closeSync()
  instance.closeSync()
})

/** What sqlmap and its like send, and pieces to make worse of it. */
const payloads = [
  "' OR '1'='1",
  "' OR 1=1 -- ",
  "') OR ('a'='a",
  "1' ORDER BY 10#",
  "' UNION ALL SELECT NULL,NULL,CONCAT(0x71,0x71)-- -",
  "'; DROP TABLE sensor_history; --",
  "' AND SLEEP(5) AND 'x'='x",
  "' AND (SELECT 1 FROM(SELECT COUNT(*),CONCAT(version(),FLOOR(RAND(0)*2))x FROM t GROUP BY x)a) AND '1'='1",
  "\\' OR 1=1 -- ",
  "\\\\' OR 1=1 -- ",
  "'\\'' OR ''='",
  "''",
  "'''",
  "' || (SELECT 'x') || '",
  '" OR ""="',
  '` OR 1=1 -- ',
  "x' /* ",
  " */ OR 1=1 -- '",
  "\n' OR 1=1",
  '$$ OR 1=1 $$',
  '${env:PATH}',
  '\\u0027 OR 1=1 -- ',
  '%27 OR 1=1',
  'ʼ OR 1=1',
  '%',
  '_',
]
const parts = [
  "'",
  '"',
  '`',
  '\\',
  '\n',
  '\r',
  ';',
  '--',
  '/*',
  '*/',
  '$',
  '{',
  '}',
  '(',
  ')',
  ' OR ',
  '1=1',
  '😀',
  'a',
]
const hostile = fc.oneof(
  fc.constantFrom(...payloads),
  fc.array(fc.constantFrom(...parts), { minLength: 1, maxLength: 12 }).map((some) => some.join('')),
  fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => !text.includes('\0')),
)

const kinds = queryKinds({
  vehicle: hostile,
  sensor: hostile,
  period: fc.constant({ from: 1_795_000_000_000, to: 1_795_600_000_000 }),
  limit: fc.constant(7),
})

/** The same question with harmless texts, and which text stands for which. */
function disarm(question: unknown): { harmless: unknown; originals: Map<string, string> } {
  const originals = new Map<string, string>()
  const names = new Map<string, string>()
  const words = new Set(['type', 'vehicle', 'hour', 'day'])
  const walk = (value: unknown, key: string): unknown => {
    if (typeof value === 'string' && !(key === 'by' && words.has(value))) {
      const name = names.get(value) ?? `harmless${names.size}`
      names.set(value, name)
      originals.set(name, value)
      return name
    }
    if (Array.isArray(value)) return value.map((item) => walk(item, key))
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, walk(item, name)]))
  }
  return { harmless: walk(question, ''), originals }
}

type Statement = (dialect: Dialect, profile: TableProfile, question: unknown) => string
const statementOf = ({ sql }: QueryKind): Statement => sql as never

const ownOrLegacy = fc.constantFrom(tableProfiles.own, tableProfiles.legacy)

/** The tree that DuckDB makes of a statement; where in its text a part stood does not matter. */
async function parse(sql: string): Promise<unknown> {
  const reader = await connection.runAndReadAll('SELECT json_serialize_sql($1::VARCHAR)', [sql])
  return JSON.parse(String(reader.getRows()[0]![0]), (key, value: unknown) => (key === 'query_location' ? 0 : value))
}

/** The tree with the texts of its constants replaced; nothing else of a tree is a text of ours. */
function withTexts(tree: unknown, originals: ReadonlyMap<string, string>): unknown {
  if (Array.isArray(tree)) return tree.map((item) => withTexts(item, originals))
  if (typeof tree !== 'object' || tree === null) return tree
  const node = tree as { class?: string; value?: { value?: unknown } }
  const text = node.value?.value
  if (node.class === 'CONSTANT' && typeof text === 'string' && originals.has(text))
    return { ...node, value: { ...node.value, value: originals.get(text) } }
  return Object.fromEntries(Object.entries(tree).map(([key, item]) => [key, withTexts(item, originals)]))
}

describe.each(kinds)('$name', (kind) => {
  const sql = statementOf(kind)

  test('DuckDB parses hostile texts as the constants that they are, and nothing else changes', async () => {
    await fc.assert(
      fc.asyncProperty(kind.questions, ownOrLegacy, async (question, profile) => {
        const { harmless, originals } = disarm(question)
        const tree = await parse(sql(dialects.duckdb, profile, harmless))
        expect(tree).toMatchObject({ error: false })
        expect(await parse(sql(dialects.duckdb, profile, question))).toEqual(withTexts(tree, originals))
      }),
      { numRuns: 30 },
    )
  })

  test.each(Object.values(dialects))(
    'in $name, all that a hostile text changes lies inside of its literal',
    (dialect) => {
      fc.assert(
        fc.property(kind.questions, ownOrLegacy, (question, profile) => {
          const { harmless, originals } = disarm(question)
          const expected = scan(dialect, sql(dialect, profile, harmless))
          const texts = expected.texts.map((text) => originals.get(text) ?? text)
          expect(scan(dialect, sql(dialect, profile, question))).toEqual({ ...expected, texts })
        }),
        { numRuns: 60 },
      )
    },
  )

  test('what no engine keeps is refused before it is SQL', () => {
    for (const bad of ['a\0b', '\ud800', 'x\udc00']) {
      const armed = fc.sample(kind.questions, { numRuns: 1, seed: 1 })[0]
      const question = replaceTexts(armed, bad)
      if (question === armed) continue
      for (const dialect of Object.values(dialects))
        expect(() => sql(dialect, tableProfiles.own, question)).toThrow(RangeError)
    }
  })
})

/** A statement as an engine's scanner sees it: what its literals say, and all the rest. */
function scan({ name }: Dialect, sql: string): { rest: string; texts: string[] } {
  const texts: string[] = []
  const pattern = name === 'duckdb' ? /'((?:[^']|'')*)'/gu : /'((?:[^'\\]|\\.)*)'/gsu
  const rest = sql.replace(pattern, (_, body: string) => {
    texts.push(name === 'duckdb' ? body.replaceAll("''", "'") : unescape(body))
    return "''"
  })
  return { rest, texts }
}
const unescape = (body: string) =>
  body.replaceAll(/\\(u[0-9a-f]{4}|.)/gsu, (_, code: string) => {
    if (code.length === 5) return String.fromCharCode(Number.parseInt(code.slice(1), 16))
    return code === 'n' ? '\n' : code === 'r' ? '\r' : code
  })

function replaceTexts(question: unknown, text: string): unknown {
  const { harmless, originals } = disarm(question)
  if (originals.size === 0) return question
  return JSON.parse(JSON.stringify(harmless).replaceAll(/"harmless\d+"/g, () => JSON.stringify(text)))
}
