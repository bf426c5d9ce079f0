import { createMetrics } from '@flasktoria/service-kit/metrics'
import { historyTables, listFiles, listLivePaths, type HistoryFile } from '@flasktoria/warehouse/history-layout'
import { openParquetWriter } from '@flasktoria/warehouse/parquet-writer'
import * as fc from 'fast-check'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLogger } from '@flasktoria/service-kit/logger'
import { expect, test, vi } from 'vitest'
import { createHistoryMetrics } from './history-metrics.ts'
import { HistoryTidy, planMerge } from './history-tidy.ts'

vi.setConfig({ testTimeout: 30_000 })

const stream = 'raw-0'
const neighbours = (spans: readonly number[]): HistoryFile[] => {
  let next = 0
  return spans.map((span) => {
    const first = next
    next += span
    return { stream, first, last: next - 1 }
  })
}
const merged = (inside: readonly HistoryFile[]): HistoryFile => ({
  stream,
  first: inside[0]!.first,
  last: inside.at(-1)!.last,
})
const merge = (files: readonly HistoryFile[], inside: readonly HistoryFile[]): HistoryFile[] =>
  [...files.filter((file) => !inside.includes(file)), merged(inside)].toSorted((a, b) => a.first - b.first)

const endOf = (files: readonly HistoryFile[]) => files.at(-1)?.last ?? -1
const spans = fc.array(fc.nat({ max: 30_000 }), { maxLength: 80 }).map((sizes) => sizes.map((size) => size + 1))

test('a merge takes neighbours only, and merging comes to an end', () => {
  fc.assert(
    fc.property(spans, fc.nat(2_000_000), fc.constantFrom(2, 4), (sizes, beyond, least) => {
      let files = neighbours(sizes)
      const end = endOf(files) + beyond
      for (let plan = planMerge(files, end, least); plan !== undefined; plan = planMerge(files, end, least)) {
        const start = files.indexOf(plan[0]!)
        expect(plan).toEqual(files.slice(start, start + plan.length))
        expect(plan.length).toBeGreaterThanOrEqual(least)
        files = merge(files, plan)
      }
    }),
  )
})

test('merges of two instances that see different moments never overlap by half', () => {
  const everyMerge = (sizes: readonly number[], least: number) => {
    const made: HistoryFile[] = []
    let files = neighbours(sizes)
    const end = endOf(files)
    for (let plan = planMerge(files, end, least); plan !== undefined; plan = planMerge(files, end, least)) {
      made.push(merged(plan))
      files = merge(files, plan)
    }
    return made
  }
  fc.assert(
    fc.property(spans, fc.nat(80), fc.constantFrom(2, 4), (sizes, seen, least) => {
      for (const ours of everyMerge(sizes, 4))
        for (const theirs of everyMerge(sizes.slice(0, seen), least)) {
          const isBeside = ours.last < theirs.first || theirs.last < ours.first
          const isInside =
            (ours.first <= theirs.first && theirs.last <= ours.last) ||
            (theirs.first <= ours.first && ours.last <= theirs.last)
          expect(isBeside || isInside).toBe(true)
        }
    }),
  )
})

test.each([3, 300, 5_000])(
  'a day of flushes of %i rows leaves few files, and each row is rewritten few times',
  (rows) => {
    let files: HistoryFile[] = []
    let rewritten = 0
    let most = 0
    for (let flush = 0; flush < 2_880; flush++) {
      files.push({ stream, first: flush * rows, last: flush * rows + rows - 1 })
      for (let plan; (plan = planMerge(files, endOf(files), 4));) {
        rewritten += merged(plan).last - merged(plan).first + 1
        files = merge(files, plan)
      }
      most = Math.max(most, files.length)
    }
    expect(most).toBeLessThan(80)
    expect(rewritten / (2_880 * rows)).toBeLessThan(4)
  },
)

test('many small files become one, and what a killed merge left behind goes', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'history-tidy-'))
  const parquet = await openParquetWriter({ directory })
  const tidy = new HistoryTidy({
    parquet,
    metrics: createHistoryMetrics(createMetrics('test')),
    logger: createLogger('test', 'silent'),
  })
  const { sensor } = historyTables
  const write = (first: number, last: number) =>
    parquet.write(sensor, 20200101, { stream, first, last }, [['v', 's', first, 1, '1', null, null]])
  for (let offset = 0; offset < 256; offset += 16) await write(offset, offset + 15)
  tidy.note('sensor', 20200101, stream)
  await tidy.idle()
  expect(await listFiles(directory, sensor, 20200101)).toHaveLength(16)
  await write(256, 259)
  tidy.note('sensor', 20200101, stream)
  await tidy.idle()
  expect(await listFiles(directory, sensor, 20200101)).toEqual(['raw-0-0-255.parquet', 'raw-0-256-259.parquet'])

  await write(16, 31)
  tidy.note('sensor', 20200101, stream)
  await tidy.idle()
  expect(await listFiles(directory, sensor, 20200101)).toEqual(['raw-0-0-255.parquet', 'raw-0-256-259.parquet'])

  // On the next day the stream went on, and the block that midnight cut is complete.
  await parquet.write(sensor, 20200102, { stream, first: 260, last: 4_999 }, [['v', 's', 260, 1, '1', null, null]])
  await tidy.sweep(Date.now())
  await tidy.idle()
  expect(await listLivePaths(directory, sensor)).toEqual([
    join(directory, 'sensor/day=20200101/raw-0-0-259.parquet'),
    join(directory, 'sensor/day=20200102/raw-0-260-4999.parquet'),
  ])
  await tidy.close()
  await parquet.close()
  rmSync(directory, { recursive: true })
})
