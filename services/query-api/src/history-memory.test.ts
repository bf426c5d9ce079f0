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

/** The last of the lines, and how many there are. */
async function linesOf(answer: Response): Promise<{ lines: number; last: string }> {
  let lines = 0
  let last = ''
  for await (const line of createInterface({ input: Readable.fromWeb(answer.body as never) })) {
    lines++
    last = line
  }
  return { lines, last }
}

test('five million rows pass through a process that could not hold them', { timeout: 300_000 }, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'history-memory-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  await writeDay(directory)
  const program = join(import.meta.dirname, 'history-memory.test-process.ts')
  const service = spawn(process.execPath, ['--max-semi-space-size=8', program, directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void service.kill('SIGKILL'))
  const told = createInterface({ input: service.stdout })[Symbol.asyncIterator]()
  const tell = async () => JSON.parse((await told.next()).value ?? '{}') as { url: string; peakMb: number }

  const { url, peakMb: before } = await tell()
  const history = `${url}/api/v1/vehicles/v/history?sensors=${sensors.join(',')}&from=${midnight}`
  for (let answer = 1; answer <= 4; answer++) {
    const { lines, last } = await linesOf(await fetch(`${history}&format=ndjson`))
    expect(lines).toBe(rows + 1)
    expect(JSON.parse(last)).toMatchObject({ end: { rows, truncated: false, next: null } })
  }
  const file = await fetch(`${history}&format=parquet`)
  let bytes = 0
  for await (const piece of file.body!) bytes += piece.length
  expect(bytes).toBeGreaterThan(rows)
  service.kill('SIGTERM')
  // 55 to 70 MB; 230 and more while results of DuckDB gather until V8 happens to collect their handles.
  expect((await tell()).peakMb - before).toBeLessThan(128)
})
