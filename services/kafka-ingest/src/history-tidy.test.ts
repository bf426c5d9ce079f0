import { createMetrics } from '@flasktoria/service-kit/metrics'
import {
  historyTables,
  listFiles,
  listLivePaths,
  parseFileName,
  type HistoryFile,
} from '@flasktoria/warehouse/history-layout'
import { openParquetWriter } from '@flasktoria/warehouse/parquet-writer'
import * as fc from 'fast-check'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLogger } from '@flasktoria/service-kit/logger'
import { expect, test } from 'vitest'
import { createHistoryMetrics } from './history-metrics.ts'
import { HistoryTidy, planMerge } from './history-tidy.ts'

const stream = 'raw-0'
const neighbours = (spans: readonly number[]): HistoryFile[] => {
  let next = 0
  return spans.map((span) => {
    const first = next
    next += span
    return { stream, first, last: next - 1 }
  })
}
const merge = (files: readonly HistoryFile[], run: readonly HistoryFile[]): HistoryFile[] =>
  [...files.filter((file) => !run.includes(file)), { stream, first: run[0]!.first, last: run.at(-1)!.last }].toSorted(
    (a, b) => a.first - b.first,
  )

test('a merge takes neighbours only, never more than fits, and comes to an end', () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 400_000 }), { maxLength: 80 }), fc.boolean(), (sizes, isOver) => {
      let files = neighbours(sizes.map((size) => size + 1))
      for (let run = planMerge(files, isOver); run !== undefined; run = planMerge(files, isOver)) {
        const start = files.indexOf(run[0]!)
        expect(run).toEqual(files.slice(start, start + run.length))
        expect(run.length).toBeGreaterThanOrEqual(isOver ? 2 : 16)
        expect(run.at(-1)!.last - run[0]!.first).toBeLessThan(2_000_000)
        files = merge(files, run)
      }
    }),
  )
})

test('a day of flushes every 30 s leaves few files, and each row is rewritten few times', () => {
  let files: HistoryFile[] = []
  let rewritten = 0
  for (let flush = 0; flush < 2_880; flush++) {
    files.push({ stream, first: flush * 300, last: flush * 300 + 299 })
    for (let run = planMerge(files, false); run !== undefined; run = planMerge(files, false)) {
      rewritten += run.at(-1)!.last - run[0]!.first + 1
      files = merge(files, run)
    }
  }
  expect(files.length).toBeLessThan(48)
  expect(rewritten / (2_880 * 300)).toBeLessThan(4)
})

test('many small files become one, and what a killed merge left behind goes', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'history-tidy-'))
  const parquet = await openParquetWriter({ directory })
  const tidy = new HistoryTidy(directory, {
    parquet,
    metrics: createHistoryMetrics(createMetrics('test')),
    logger: createLogger('test', 'silent'),
  })
  const { sensor } = historyTables
  const write = (first: number, last: number) =>
    parquet.write(sensor, 20200101, { stream, first, last }, [['v', 's', first, 1, '1', null, null]])
  for (let offset = 0; offset < 15; offset++) await write(offset * 10, offset * 10 + 9)
  tidy.note('sensor', 20200101)
  await tidy.idle()
  expect(await listFiles(directory, sensor, 20200101)).toHaveLength(15)
  await write(150, 159)
  tidy.note('sensor', 20200101)
  await tidy.idle()
  expect(await listFiles(directory, sensor, 20200101)).toEqual(['raw-0-0-159.parquet'])

  await write(20, 29)
  await write(160, 169)
  tidy.note('sensor', 20200101)
  await tidy.idle()
  expect((await listFiles(directory, sensor, 20200101)).map(parseFileName)).toMatchObject([
    { first: 0, last: 159 },
    { first: 160, last: 169 },
  ])

  await tidy.sweep(Date.now())
  await tidy.idle()
  expect(await listLivePaths(directory, sensor)).toEqual([join(directory, 'sensor/day=20200101/raw-0-0-169.parquet')])
  await tidy.close()
  await parquet.close()
  rmSync(directory, { recursive: true })
})
