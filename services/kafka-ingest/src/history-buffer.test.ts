import { HistoryColumns } from '@flasktoria/warehouse/history-columns'
import { historyTables } from '@flasktoria/warehouse/history-layout'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { HistoryBuffer, planFiles, type Portion } from './history-buffer.ts'

const portion = (offsets: number[]): Portion => ({
  table: 'sensor',
  day: 20261124,
  stream: 'raw-0',
  offsets,
  rows: new HistoryColumns(
    historyTables.sensor,
    offsets.map((offset) => ['v', 's', offset, 1, 'l', null, null]),
  ),
})

test('rows that lie in no file yet are planned once each, in files that claim nothing else', () => {
  const offsets = fc.uniqueArray(fc.nat(60), { maxLength: 30 }).map((all) => all.toSorted((a, b) => a - b))
  const range = fc.tuple(fc.nat(60), fc.nat(10)).map(([first, length]) => ({ first, last: first + length }))
  fc.assert(
    fc.property(offsets, fc.array(range, { maxLength: 6 }), (pending, written) => {
      const files = planFiles(portion(pending), written)
      const isWritten = (offset: number) => written.some(({ first, last }) => first <= offset && offset <= last)
      const planned = files.map(({ content }) => pending.slice(content.from, content.to))
      expect(planned.flat()).toEqual(pending.filter((o) => !isWritten(o)))
      for (const [index, { file }] of files.entries()) {
        expect([file.first, file.last]).toEqual([planned[index]?.[0], planned[index]?.at(-1)])
        for (const { first, last } of written) expect(first > file.last || last < file.first).toBe(true)
      }
      // What was planned is what the next look at the folder finds: nothing is left to do.
      expect(planFiles(portion(pending), [...written, ...files.map(({ file }) => file)])).toEqual([])
    }),
  )
})

test('rows without a gap make one file', () => {
  expect(planFiles(portion([3, 4, 9]), [])).toHaveLength(1)
  expect(planFiles(portion([3, 4, 9]), [{ first: 5, last: 6 }])).toHaveLength(2)
})

test('a buffer keeps rows by table, day and partition, and knows where reading goes on', () => {
  const buffer = new HistoryBuffer()
  expect(buffer.isEmpty).toBe(true)
  buffer.add(
    { topic: 'raw', partition: 0, offset: 7 },
    { table: 'sensor', day: 20261124, cells: ['v', 's', 1, 2, 'a', null, null] },
    1,
  )
  buffer.add(
    { topic: 'raw', partition: 0, offset: 8 },
    { table: 'sensor', day: 20261123, cells: ['v', 's', 1, 2, 'b', null, null] },
    1,
  )
  buffer.add(
    { topic: 'raw', partition: 1, offset: 2 },
    { table: 'sensor', day: 20261124, cells: ['v', 's', 1, 2, 'c', null, null] },
    1,
  )
  buffer.add({ topic: 'raw', partition: 0, offset: 9 }, undefined, 1)
  expect([...buffer.portions].map(({ day, stream, offsets }) => ({ day, stream, offsets }))).toEqual([
    { day: 20261124, stream: 'raw-0', offsets: [7] },
    { day: 20261123, stream: 'raw-0', offsets: [8] },
    { day: 20261124, stream: 'raw-1', offsets: [2] },
  ])
  expect([...buffer.positions()]).toEqual([
    { topic: 'raw', partition: 0, offset: 10 },
    { topic: 'raw', partition: 1, offset: 3 },
  ])
  expect(buffer.rows).toBe(3)
})
