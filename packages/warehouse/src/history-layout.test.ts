import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { dialects } from './dialects.ts'
import {
  addPartitionsStatement,
  createTableStatement,
  dayOf,
  fileName,
  historyTables,
  parseFileName,
  streamName,
  supersededNames,
  type HistoryFile,
} from './history-layout.ts'

test('a day is the UTC day of the event', () => {
  expect(dayOf(Date.UTC(2026, 10, 24))).toBe(20261124)
  expect(dayOf(Date.UTC(2026, 10, 24) - 1)).toBe(20261123)
  expect(dayOf(-Infinity)).toBe(10101)
  expect(dayOf(Number.MAX_SAFE_INTEGER)).toBe(99991231)
})

const topics = fc
  .oneof(fc.string({ unit: 'binary' }), fc.stringMatching(/^[._a-zA-Z0-9~=-]{1,20}$/))
  .filter((topic) => topic !== '' && topic.isWellFormed())
const partition = fc.nat()

test('a file name tells its stream and its offsets, and no engine hides it', () => {
  fc.assert(
    fc.property(topics, partition, fc.maxSafeNat(), fc.nat(1000), (topic, at, first, length) => {
      const file = { stream: streamName(topic, at), first, last: Math.min(first + length, Number.MAX_SAFE_INTEGER) }
      const name = fileName(file)
      expect(parseFileName(name)).toEqual(file)
      expect(name).toMatch(/^[A-Za-z0-9~-][A-Za-z0-9._~-]*$/)
      expect(name.length).toBeLessThan(255)
    }),
  )
})

test('no two partitions share a stream name', () => {
  fc.assert(
    fc.property(topics, partition, topics, partition, (topic, at, other, otherAt) => {
      fc.pre(topic !== other || at !== otherAt)
      expect(streamName(topic, at)).not.toBe(streamName(other, otherAt))
    }),
  )
  expect(streamName('a_b', 1)).not.toBe(streamName('a~5fb', 1))
  expect(streamName('x'.repeat(249), 0)).not.toBe(streamName(`${'x'.repeat(248)}y`, 0))
})

test.each(['part-00000-1b2c-c000.snappy.parquet', 'x.parquet', 'a-1-2-3.csv', 'a-0-9-3.parquet', '-0-1-2.parquet'])(
  '%s is none of ours',
  (name) => {
    expect(parseFileName(name)).toBeUndefined()
  },
)

const isInside = (inner: HistoryFile, outer: HistoryFile) =>
  inner !== outer && inner.stream === outer.stream && outer.first <= inner.first && inner.last <= outer.last

test('exactly the files inside another one of their stream are superseded', () => {
  const file = fc.record({ stream: fc.constantFrom('a-0', 'a-1'), first: fc.nat(20), length: fc.nat(8) })
  fc.assert(
    fc.property(fc.uniqueArray(file, { selector: (f) => JSON.stringify(f), maxLength: 12 }), (drafts) => {
      const files: HistoryFile[] = drafts.map(({ stream, first, length }) => ({ stream, first, last: first + length }))
      const expected = files.filter((inner) => files.some((outer) => isInside(inner, outer))).map(fileName)
      expect(supersededNames(files.map(fileName)).toSorted()).toEqual(expected.toSorted())
    }),
  )
})

test('statements name the tables as each engine wants them', () => {
  expect(createTableStatement(dialects.spark, '`sensor_history`', historyTables.sensor, "file:///data/it's/")).toBe(
    'CREATE TABLE IF NOT EXISTS `sensor_history` (`uuid` STRING, `sensor` STRING, `ts` BIGINT, `value` DOUBLE, `text` STRING, ' +
      "`lat` DOUBLE, `long` DOUBLE, `day` INT) USING parquet PARTITIONED BY (`day`) LOCATION 'file:///data/it\\'s/sensor'",
  )
  expect(createTableStatement(dialects.impala, '`a`', historyTables.anomaly, '/data')).toMatch(
    /^CREATE EXTERNAL TABLE .* PARTITIONED BY \(`day` INT\) STORED AS PARQUET LOCATION '\/data\/anomaly'$/,
  )
  expect(addPartitionsStatement(dialects.hive, '`a`', [20260101, 20260102])).toBe(
    'ALTER TABLE `a` ADD IF NOT EXISTS PARTITION (`day`=20260101) PARTITION (`day`=20260102)',
  )
})
