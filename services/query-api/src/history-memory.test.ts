import { HistoryColumns } from '@flasktoria/warehouse/history-columns'
import { dayOf, historyTables } from '@flasktoria/warehouse/history-layout'
import { openParquetWriter } from '@flasktoria/warehouse/parquet-writer'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { expect, onTestFinished, test } from 'vitest'

const midnight = Date.UTC(2026, 10, 1)
const sensors = Array.from({ length: 12 }, (_, index) => `pid_${index}_mode_1`)
const seconds = 86_400
const rows = seconds * sensors.length

/** A day of a vehicle that reports each second. */
async function writeDay(directory: string): Promise<void> {
  const day = new HistoryColumns(historyTables.sensor)
  for (let second = 0; second < seconds; second++)
    for (const [index, sensor] of sensors.entries())
      day.push(['v', sensor, midnight + second * 1_000, (second * index) % 997, '', null, null])
  const writer = await openParquetWriter({ directory })
  const file = { stream: 'raw-0', first: 0, last: 0 }
  await writer.write(historyTables.sensor, dayOf(midnight), file, { rows: day, from: 0, to: day.length })
  await writer.close()
}

test('a million rows pass through a heap that could not hold them', { timeout: 300_000 }, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'history-memory-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  await writeDay(directory)
  const program = join(import.meta.dirname, 'history-memory.test-process.ts')
  const service = spawn(process.execPath, ['--max-old-space-size=48', program, directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void service.kill('SIGKILL'))
  const told = createInterface({ input: service.stdout })[Symbol.asyncIterator]()
  const tell = async () => JSON.parse((await told.next()).value ?? '{}') as { url: string; peakMb: number }

  const { url, peakMb: before } = await tell()
  const history = `${url}/api/v1/vehicles/v/history?sensors=${sensors.join(',')}&from=${midnight}`
  const response = await fetch(`${history}&format=ndjson`)
  let lines = 0
  let last = ''
  for await (const line of createInterface({ input: Readable.fromWeb(response.body as never) })) {
    lines++
    last = line
  }
  expect(lines).toBe(rows + 1)
  expect(JSON.parse(last)).toMatchObject({ end: { rows, truncated: false, next: null } })
  const file = await fetch(`${history}&format=parquet`)
  let bytes = 0
  for await (const piece of file.body!) bytes += piece.length
  expect(bytes).toBeGreaterThan(rows)
  service.kill('SIGTERM')
  // Beside the heap there is DuckDB, which may take so much.
  expect((await tell()).peakMb - before).toBeLessThan(256)
})
