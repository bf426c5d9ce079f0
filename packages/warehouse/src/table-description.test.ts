import { expect, test } from 'vitest'
import { columnMistakes, readDescription } from './table-description.ts'
import { tableProfiles } from './table-profile.ts'

/** As Hive 4 and Impala write it: names are padded, and the columns have a heading of their own. */
const hive = [
  ['# col_name            ', 'data_type           ', 'comment             '],
  ['uuid                ', 'string              ', ''],
  ['sensor              ', 'varchar(64)         ', ''],
  ['ts                  ', 'bigint              ', ''],
  ['value               ', 'double              ', ''],
  ['lat                 ', 'double              ', ''],
  ['long                ', 'double              ', ''],
  ['', null, null],
  ['# Partition Information', null, null],
  ['# col_name            ', 'data_type           ', 'comment             '],
  ['day                 ', 'int                 ', ''],
  ['', null, null],
  ['# Detailed Table Information', null, null],
  ['Database:           ', 'default             ', null],
  ['Owner:              ', 'hive                ', null],
]
/** An HBase table, seen through Hive's storage handler. */
const hbase = [
  ['# col_name', 'data_type', 'comment'],
  ['id', 'string', 'It is the row key'],
  ['uuid', 'string', ''],
  ['# Detailed Table Information', null, null],
  ['InputFormat:', 'org.apache.hadoop.hive.hbase.HiveHBaseTableInputFormat', null],
  ['', 'storage_handler     ', 'org.apache.hadoop.hive.hbase.HBaseStorageHandler'],
]

test('columns and partitions are told from what else stands in a description', () => {
  const description = readDescription(hive)
  expect(Object.fromEntries(description.columns)).toEqual({
    uuid: 'string',
    sensor: 'varchar(64)',
    ts: 'bigint',
    value: 'double',
    lat: 'double',
    long: 'double',
    day: 'int',
  })
  expect([...description.partitions]).toEqual(['day'])
  expect(description.isInHbase).toBe(false)
  expect(columnMistakes(description, tableProfiles.own.sensor)).toEqual([])
})

test('a table in HBase is recognised', () => {
  expect(readDescription(hbase)).toMatchObject({
    isInHbase: true,
    columns: new Map([
      ['id', 'string'],
      ['uuid', 'string'],
    ]),
  })
})

test('each column that is not as the profile says is a sentence', () => {
  expect(columnMistakes(readDescription(hive), tableProfiles.legacy.sensor)).toEqual([
    'there is no column timestamp (there are uuid, sensor, ts, value, lat, long, day)',
    'column value is DOUBLE, and should be a text',
  ])
})
