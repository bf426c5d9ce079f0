import { createLogger } from '@flasktoria/service-kit/logger'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, describe, expect, test } from 'vitest'
import { createInterpreter } from './interpret.ts'
import { readRecording } from './recording.ts'
import type { RawRecord } from './record-source.ts'
import { createRecordingSource } from './source-recording.ts'

const folder = mkdtempSync(join(tmpdir(), 'recording-'))
afterAll(() => rmSync(folder, { recursive: true }))
const logger = createLogger('test', 'silent')

const file = (name: string, content: string | Buffer): string => {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}
const header = 'vehicle_id,timestamp_ms,sensor,value\n'
const interpret = createInterpreter({ earliestTs: 0, maxAheadMs: 60_000 })

/** Replays to the end, or until `enough` says so. */
const replay = async (path: string, speed = 1, enough: (records: RawRecord[]) => boolean = () => false) => {
  const records: RawRecord[] = []
  const arrivals: number[] = []
  const stopping = new AbortController()
  const source = createRecordingSource({ path, speed, topic: 'recording' }, logger)
  const startedAt = Date.now()
  await source.run(
    {
      accept: (batch) => {
        records.push(...batch)
        arrivals.push(...batch.map(() => Date.now()))
        if (enough(records)) stopping.abort()
        return Promise.resolve()
      },
    },
    stopping.signal,
  )
  const facts = records.map((record) => interpret(record, Date.now()))
  return { records, facts, arrivals, startedAt }
}

describe('rows', () => {
  test('columns in any order, beside others, with quotes, and a byte order mark', async () => {
    const path = file('order.csv', '\ufeffsensor,note,value,vehicle_id,timestamp_ms\ngps_coordinates,x,"[1,2]",a-1,5\n')
    expect(await Array.fromAsync(readRecording(path))).toEqual([
      { line: 2, vehicle: 'a-1', ts: 5, sensor: 'gps_coordinates', value: '[1,2]' },
    ])
  })

  test('bad rows are told by their line, and the others are read', async () => {
    const path = file('bad.csv.gz', gzipSync(`${header}a,1,s,1\na,x,s,2\na,3\n,4,s,4\na,1e3,s,5\na,6,s,6\n`))
    expect(await Array.fromAsync(readRecording(path))).toEqual([
      { line: 2, vehicle: 'a', ts: 1, sensor: 's', value: '1' },
      { line: 3, problem: 'the time is no whole number' },
      { line: 4, problem: 'a field is missing' },
      { line: 5, problem: 'a field is missing' },
      { line: 6, problem: 'the time is no whole number' },
      { line: 7, vehicle: 'a', ts: 6, sensor: 's', value: '6' },
    ])
  })

  test.each([
    ['there is no recording', () => join(folder, 'nowhere.csv')],
    ['its first line names no column timestamp_ms, value', () => file('columns.csv', 'vehicle_id,sensor\na,b\n')],
    ['is empty', () => file('empty.csv', '')],
    ['has no rows', () => file('no-rows.csv', header)],
    ['cannot be read: incorrect header check', () => file('no-gzip.csv.gz', `${header}a,1,s,1\n`)],
    [
      'cannot be read: unexpected end of file',
      () => file('cut.csv.gz', gzipSync(`${header}a,1,s,1\n`).subarray(0, 30)),
    ],
    ['cannot be read: EISDIR', () => folder],
  ])('%s', async (message, path) => {
    await expect(replay(path())).rejects.toThrow(message)
  })
})

describe('the replay', () => {
  test('each source begins now, whatever its clock says, and its records come when they are due', async () => {
    const rows = ['old-1,1000,s,1', 'old-2,1400,s,2', 'new-1,1700000000000,s,3', 'new-1,1700000000400,s,4']
    const { facts, arrivals, startedAt } = await replay(file('two.csv', `${header}${rows.join('\n')}\n`), 2)
    const ago = facts.map((read) => (read.ok && read.fact.kind === 'reading' ? [read.fact.text, read.fact.ts] : []))
    const first = ago[0]![1] as number
    expect(first - startedAt).toBeLessThan(1_000)
    expect(ago).toEqual([
      ['1', first],
      ['3', first],
      ['2', first + 200],
      ['4', first + 200],
    ])
    for (const [index, [, due]] of ago.entries()) expect(arrivals[index]).toBeGreaterThanOrEqual(due as number)
  })

  test('ids without a dash are one source', async () => {
    const { facts } = await replay(file('one.csv', `${header}a,1000,s,1\nb,1100,s,2\n`), 1)
    const [a, b] = facts.map((read) => (read.ok ? read.fact.ts : 0))
    expect(b! - a!).toBe(100)
  })

  test('a file whose ids have far too many prefixes is one source', async () => {
    const rows = Array.from({ length: 200 }, (_, index) => `v${index}-x,${1_000 + index},s,${index}`)
    const { facts } = await replay(file('many.csv', `${header}${rows.join('\n')}\n`), 1)
    const times = facts.map((read) => (read.ok ? read.fact.ts : 0))
    expect(times.map((ts) => ts - times[0]!)).toEqual(rows.map((_, index) => index))
  })

  test('it stops when it is told to, also while nothing is due', async () => {
    const path = file('slow.csv', `${header}a,0,s,1\na,3600000,s,2\n`)
    const { records } = await replay(path, 1, ({ length }) => length === 1)
    expect(records).toHaveLength(1)
  })
})

const recordings = process.env['RECORDINGS_DIR']

test.skipIf(!recordings)(
  'the real recording: three sources, all begin at once (RECORDINGS_DIR)',
  { timeout: 30_000 },
  async () => {
    const { facts } = await replay(join(recordings!, 'real_dev_open.csv.gz'), 1_000, ({ length }) => length > 5)
    const firsts = new Map<string, number>()
    for (const read of facts)
      if (read.ok) {
        const source = read.fact.vehicle.split('-')[0]!
        if (!firsts.has(source)) firsts.set(source, read.fact.ts)
      }
    expect([...firsts.keys()].toSorted()).toEqual(['capmetro', 'omaha', 'rabat'])
    expect(Math.max(...firsts.values()) - Math.min(...firsts.values())).toBeLessThan(1_000)
  },
)
