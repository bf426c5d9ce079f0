import * as fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createHs2Warehouse, type Hs2Warehouse } from './warehouse-hs2.ts'

const url = process.env['HS2_URL']
if (!url) throw new Error('HS2_URL names no HiveServer2; npm test starts one')

let warehouse: Hs2Warehouse
beforeAll(async () => {
  warehouse = await createHs2Warehouse({ url, maxWaitMs: 60_000, openSessionWithinMs: 60_000 })
})
afterAll(() => warehouse.close())

async function evaluate(expressions: readonly string[]): Promise<unknown[]> {
  const options = { signal: AbortSignal.timeout(30_000), deadlineMs: 30_000, maxRows: 10 }
  const columns = expressions.map((expression, index) => `${expression} AS c${index}`)
  for await (const batch of warehouse.query(`SELECT ${columns.join(', ')}`, options))
    return batch.values.map((column) => column[0])
  return []
}

const hostileParts = [
  "'",
  '"',
  '`',
  '\\',
  'u0041',
  '\\u0041',
  '\\044',
  '%',
  '_',
  '\\%',
  '\\_',
  '\n',
  '\r',
  '\t',
  '\u001a',
  '\u2028',
  '$',
  '{env:PATH}',
  '${env:PATH}',
  '${spark:spark.app.name}',
  ';',
  '--',
  '/*',
  'é',
  '😀',
  '\u0301',
]

test('the server reads hostile texts back as they were', async () => {
  const texts = fc.oneof(
    fc.array(fc.constantFrom(...hostileParts)).map((parts) => parts.join('')),
    fc.string({ unit: 'binary' }).filter((text) => !text.includes('\0')),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(texts, { minLength: 20, maxLength: 20 }), async (values) => {
      expect(await evaluate(values.map((value) => warehouse.dialect.text(value)))).toEqual(values)
    }),
    { numRuns: 8 },
  )
  expect(await evaluate(hostileParts.map((value) => warehouse.dialect.text(value)))).toEqual(hostileParts)
})

test('casts of bad text give NULL, not an error', async () => {
  const { tryCast, text } = warehouse.dialect
  const cast = (value: string, type: 'bigint' | 'double') => tryCast(text(value), type)
  expect(
    await evaluate([
      cast('12x', 'bigint'),
      cast('', 'bigint'),
      cast('1490072404000', 'bigint'),
      cast('D', 'double'),
      cast('12.5', 'double'),
    ]),
  ).toEqual([null, null, 1490072404000, null, 12.5])
})

test('a keyword can be an identifier', async () => {
  const { identifier } = warehouse.dialect
  expect(
    await evaluate([`(SELECT ${identifier('timestamp')} FROM (SELECT 7 AS ${identifier('timestamp')}) t)`]),
  ).toEqual([7])
})
