import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { readCsv, type CsvRow } from './csv.ts'

async function read(...chunks: string[]): Promise<CsvRow[]> {
  async function* stream() {
    yield* chunks
  }
  return Array.fromAsync(readCsv(stream()))
}

test('plain cells, quoted cells, doubled quotes, line breaks inside quotes', async () => {
  expect(await read('a,b\r\n1,"x,""y"""\n"l1\nl2",\n\nlast,row')).toEqual([
    { line: 1, cells: ['a', 'b'] },
    { line: 2, cells: ['1', 'x,"y"'] },
    { line: 3, cells: ['l1\nl2', ''] },
    { line: 6, cells: ['last', 'row'] },
  ])
})

test('a quote that nobody closes costs its own line and nothing else', async () => {
  const rows = await read('a\n"open\nb\nc\nd\ne\nf\n')
  expect(rows).toEqual([
    { line: 1, cells: ['a'] },
    { line: 2, problem: 'a quote is not closed' },
    ...['b', 'c', 'd', 'e', 'f'].map((cell, index) => ({ line: 3 + index, cells: [cell] })),
  ])
})

test('a quote that is still open at the end costs its own line', async () => {
  expect(await read('a\n"open\nb')).toEqual([
    { line: 1, cells: ['a'] },
    { line: 2, problem: 'a quote stands where none belongs' },
    { line: 3, cells: ['b'] },
  ])
})

test.each(['a"b",c', '"a"b,c'])('%s has a quote where none belongs', async (text) => {
  expect(await read(text)).toEqual([{ line: 1, problem: 'a quote stands where none belongs' }])
})

test('a line without end does not stay in memory', async () => {
  const rows = await read(...Array.from({ length: 50 }, () => 'x'.repeat(10_000)))
  expect(rows.length).toBeGreaterThan(5)
})

test('what is written as RFC 4180 has it is read back, however it is cut into pieces', async () => {
  const cell = fc
    .string({ unit: fc.constantFrom('a', 'ü', ',', '"', '\n', ' '), maxLength: 8 })
    .filter((text) => text.split('\n').length < 3)
  const table = fc.array(fc.array(cell, { minLength: 2, maxLength: 2 }), { minLength: 1, maxLength: 6 })
  await fc.assert(
    fc.asyncProperty(table, fc.integer({ min: 1, max: 9 }), async (rows, size) => {
      const quote = (text: string) => `"${text.replaceAll('"', '""')}"`
      const text = rows.map((cells) => cells.map(quote).join(',')).join('\r\n')
      const pieces = text.match(new RegExp(`[\\s\\S]{1,${size}}`, 'g')) ?? []
      const back = await read(...pieces)
      expect(back.map((row) => ('cells' in row ? row.cells : row))).toEqual(rows)
    }),
  )
})
