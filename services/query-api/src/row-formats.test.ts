import { problemBody } from '@flasktoria/contracts/problems'
import type { Cell, ColumnBatch } from '@flasktoria/warehouse/warehouse'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { createRowWriter, type RowFormat } from './row-formats.ts'

const columns = ['name', 'a "quoted" one', 'n']
const shape = { name: 'text', 'a "quoted" one': 'text', n: 'double' } as const
const end = {
  truncated: true,
  next: 'abc',
  coverage: { history: null, recent: null, mayLack: [], cursor: null },
}
const cell: fc.Arbitrary<Cell> = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.constantFrom(null, true, 'same', 'same', 'a,b', '"', '\r\n', '-0'),
)
const batches = fc.array(fc.array(fc.tuple(cell, cell, cell), { maxLength: 5 }), { maxLength: 4 })

const batchOf = (rows: readonly (readonly Cell[])[]): ColumnBatch => ({
  columns,
  rowCount: rows.length,
  values: columns.map((_, index) => rows.map((row) => row[index]!)),
})
async function write(format: RowFormat, rows: readonly (readonly (readonly Cell[])[])[]): Promise<string> {
  const writer = createRowWriter(format, shape, { vehicle: 'v' })
  const pieces: (string | Uint8Array)[] = [writer.begin]
  for (const batch of rows) pieces.push(await writer.rows(batchOf(batch)))
  pieces.push(await writer.end(end))
  return pieces.join('')
}
/** JSON has one zero. */
const plain = (value: Cell): Cell => (value === 0 ? 0 : value)
const objects = (rows: readonly (readonly Cell[])[]) =>
  rows.map((row) => Object.fromEntries(columns.map((name, index) => [name, plain(row[index]!)])))

test('JSON is one object: what it is about, the rows, and the end, however they come in batches', async () => {
  await fc.assert(
    fc.asyncProperty(batches, async (rows) => {
      expect(JSON.parse(await write('json', rows))).toEqual({ vehicle: 'v', rows: objects(rows.flat()), ...end })
    }),
  )
})

test('NDJSON is a row a line, and a last line that says how many', async () => {
  await fc.assert(
    fc.asyncProperty(batches, async (rows) => {
      const lines = (await write('ndjson', rows)).trimEnd().split('\n')
      expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
        ...objects(rows.flat()),
        { end: { rows: rows.flat().length, ...end } },
      ])
    }),
  )
})

test('CSV has a header, and quotes what needs it', async () => {
  expect(
    await write('csv', [
      [['plain', 'a,b', 1]],
      [
        ['say "hi"', 'two\nlines', null],
        ['', true, -0.5],
      ],
    ]),
  ).toBe('name,"a ""quoted"" one",n\r\nplain,"a,b",1\r\n"say ""hi""","two\nlines",\r\n,true,-0.5\r\n')
})

test('a number that JSON does not know is null', async () => {
  expect(await write('json', [[[Number.NaN, Infinity, 1n]]])).toContain('{"name":null,"a \\"quoted\\" one":null,"n":1}')
})

test('of a failure NDJSON speaks; the others only end', () => {
  const problem = problemBody('warehouse_unavailable', 'id')
  const said = (['json', 'ndjson', 'csv', 'parquet'] as const).map((format) =>
    createRowWriter(format, shape, {}).failure(problem),
  )
  expect(said).toEqual(['', `${JSON.stringify({ error: problem })}\n`, '', ''])
})
