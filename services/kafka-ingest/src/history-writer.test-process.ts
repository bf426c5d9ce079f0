// Writes the records of `killable` into a history until it is killed: see history-writer.test.ts.
import { createMetrics } from '@flasktoria/service-kit/metrics'
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { createLogger } from '@flasktoria/service-kit/logger'
import { sensorProfile } from './built-in-profiles.ts'
import { encodeRecord } from './encode.ts'
import { openS3Store } from '@flasktoria/warehouse/history-store-s3'
import type { HistoryStore } from '@flasktoria/warehouse/history-store'
import { testCredentials } from '@flasktoria/warehouse/s3.test-server'
import { openFileStore } from '@flasktoria/warehouse/history-store-file'
import { openHistory } from './history.ts'
import { createInterpreter } from './interpret.ts'
import type { Position, RawRecord, RecordSource } from './record-source.ts'

export const killable = { topics: ['raw', 'rare'], partitions: 2, recordsPerPartition: 2_500 }
const firstTs = Date.UTC(2024, 0, 1, 23, 59)

/** Late ones among them, over two days and a bit; every tenth is of no use. */
function recordAt(topic: string, partition: number, offset: number): RawRecord {
  const isLate = offset % 23 === 0
  const timestamp = firstTs + offset * 50 - (isLate ? 86_400_000 : 0)
  const value = offset % 10 === 9 ? 'no label' : `l: ${offset}`
  const record = { timestamp, sensor_group: '', sensor: topic, uuid: `v${partition}`, value, src: '' }
  return { topic, profile: sensorProfile, partition, offset, value: encodeRecord.sensor(record), timestamp }
}

/** Keeps committed positions in a file, as a broker would. */
function replayedSource(commitPath: string): RecordSource {
  const commits = new Map<string, Position>(
    existsSync(commitPath) ? (JSON.parse(readFileSync(commitPath, 'utf8')) as [string, Position][]) : [],
  )
  const commit = (positions: Iterable<Position>) => {
    for (const position of positions) commits.set(`${position.topic}-${position.partition}`, position)
    writeFileSync(`${commitPath}.new`, JSON.stringify([...commits]))
    renameSync(`${commitPath}.new`, commitPath)
  }
  return {
    state: () => ({ failing: undefined, lagRecords: null, lagMs: null }),
    run: async (consumer, signal) => {
      const places = killable.topics.flatMap((topic) =>
        Array.from({ length: killable.partitions }, (_, partition) => ({
          topic,
          partition,
          offset: commits.get(`${topic}-${partition}`)?.offset ?? 0,
        })),
      )
      let isMore = true
      for (let turn = 1; isMore && !signal.aborted; turn++) {
        isMore = false
        for (const place of places) {
          const end = Math.min(place.offset + 40, killable.recordsPerPartition)
          const batch: RawRecord[] = []
          for (; place.offset < end; place.offset++) batch.push(recordAt(place.topic, place.partition, place.offset))
          if (batch.length > 0) isMore = true
          if (batch.length > 0) await consumer.accept(batch, signal)
        }
        await delay(10)
        if (turn % 5 === 0) commit(consumer.safePositions?.() ?? [])
      }
      process.emit('SIGTERM')
      while (!signal.aborted) await delay(5)
      commit(consumer.safePositions?.() ?? [])
    },
  }
}

/** A folder, or the URL of an S3 server. */
const openStore = (target: string): Promise<HistoryStore> =>
  target.startsWith('http:')
    ? openS3Store({
        bucket: 'bucket',
        prefix: 'history',
        endpoint: target,
        region: 'us-east-1',
        isPathStyle: true,
        credentials: testCredentials,
      })
    : openFileStore(target)

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [, , target = '', commitPath = ''] = process.argv
  const stop = new AbortController()
  process.on('SIGTERM', () => stop.abort())
  await using history = await openHistory(
    { store: await openStore(target), flushIntervalMs: 15, flushRows: 500 },
    {
      interpret: createInterpreter({ earliestTs: 0, maxAheadMs: 0 }),
      metrics: createMetrics('test'),
      logger: createLogger('test', 'warn'),
    },
  )
  process.stdout.write('started\n')
  await history.consume(replayedSource(commitPath), stop.signal)
  process.stdout.write('done\n')
}
