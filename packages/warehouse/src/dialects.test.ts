import { DuckDBInstance } from '@duckdb/node-api'
import * as fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import { dialects } from './dialects.ts'

const instance = await DuckDBInstance.create(':memory:')
const connection = await instance.connect()
afterAll(() => {
  connection.closeSync()
  instance.closeSync()
})
const evaluate = async (sql: string) => (await connection.runAndReadAll(`SELECT ${sql}`)).getRows()[0]?.[0]

const hostile = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc
    .array(
      fc.constantFrom("'", '"', '`', '\\', '\\u0041', '%', '_', '\n', '\r', '$', '{env:PATH}', ';--', '/*', 'é', '😀'),
    )
    .map((parts) => parts.join('')),
)
const sqlText = hostile.filter((text) => !text.includes('\0'))

test('DuckDB reads every text back as it was', async () => {
  await fc.assert(
    fc.asyncProperty(sqlText, async (text) => {
      expect(await evaluate(dialects.duckdb.text(text))).toBe(text)
    }),
    { numRuns: 300 },
  )
})

test.each(['spark', 'hive', 'impala'] as const)('%s: a quote, a backslash and a line end never stand bare', (name) => {
  fc.assert(
    fc.property(sqlText, (text) => {
      const literal = dialects[name].text(text)
      expect(literal.slice(1, -1)).toMatch(/^(?:[^\\'\n\r]|\\.)*$/su)
      expect(literal.startsWith("'") && literal.endsWith("'")).toBe(true)
    }),
  )
})

test('no variable of Hive or Spark is left in a text', () => {
  for (const name of ['spark', 'hive'] as const)
    expect(dialects[name].text('${env:PATH}')).toBe(String.raw`'\u0024{env:PATH}'`)
  expect(dialects.impala.text('${env:PATH}')).toBe("'${env:PATH}'")
})

test.each(Object.values(dialects))('$name refuses what no engine keeps', ({ text, integer, identifier }) => {
  expect(() => text('a\0b')).toThrow(RangeError)
  expect(() => text('\ud800')).toThrow(RangeError)
  for (const value of [1.5, Number.NaN, Infinity, 2 ** 53, -(2 ** 60)]) expect(() => integer(value)).toThrow(RangeError)
  expect([integer(-0), integer(-5), integer(2 ** 53 - 1)]).toEqual(['0', '-5', '9007199254740991'])
  for (const name of ['', 'a"b', 'a`b', "a'b", 'a\\b', '${x}', 'a\nb', 'a\u0085b'])
    expect(() => identifier(name)).toThrow(RangeError)
})

test('a keyword can be an identifier', async () => {
  expect(await evaluate(`${dialects.duckdb.identifier('timestamp')} FROM (SELECT 7 AS "timestamp")`)).toBe(7)
})

test('a cast of bad text gives NULL', async () => {
  expect(await evaluate(dialects.duckdb.tryCast("'12x'", 'bigint'))).toBeNull()
  expect(await evaluate(dialects.duckdb.tryCast("'1490072404000'", 'bigint'))).toBe(1490072404000n)
})
