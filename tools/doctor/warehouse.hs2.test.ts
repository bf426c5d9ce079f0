import { createTableStatement, historyTables, legacyTableStatements } from '@flasktoria/warehouse/history-layout'
import { tableProfiles, type TableProfile } from '@flasktoria/warehouse/table-profile'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { once } from 'node:events'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { freePort } from '../servers/daemon.ts'
import { executeHs2 } from '../servers/hs2-client.ts'
import { findingsOf } from './findings.ts'
import { examineWarehouse } from './warehouse.ts'

const url = process.env['HS2_URL']
if (!url) throw new Error('HS2_URL names no HiveServer2; npm test starts one')

const database = `doctor_${Math.random().toString(36).slice(2, 8)}`
const folder = mkdtempSync(join(tmpdir(), 'flasktoria-doctor-hs2-'))
const own: TableProfile = { ...tableProfiles.own, database }

beforeAll(async () => {
  await executeHs2(url, ({ dialect }) => [
    `CREATE DATABASE ${database}`,
    ...Object.values(historyTables).map((table) =>
      createTableStatement(dialect, `${database}.${table.name}`, table, `file://${folder}`),
    ),
    `ALTER TABLE ${database}.sensor_history ADD PARTITION (day=20261124)`,
    `INSERT INTO ${database}.sensor_history PARTITION (day=20261124) VALUES ('v', 's', 1764000000000, 1.0, '1', NULL, NULL)`,
    `INSERT INTO ${database}.anomaly_history PARTITION (day=20261124) VALUES ('v', 's', 1764000000000, 'd', 'c', 1, 'r', 'e')`,
    `CREATE TABLE ${database}.wrong (uuid STRING, sensor STRING, ts STRING, value STRING) USING parquet`,
    `CREATE TABLE ${database}.flat (uuid STRING, sensor STRING, ts BIGINT, value DOUBLE, lat DOUBLE, long DOUBLE, day INT) USING parquet`,
  ])
  await executeHs2(url.replace('/?', `/${database}?`), ({ dialect }) => legacyTableStatements(dialect))
})
afterAll(async () => {
  await executeHs2(url, () => [`DROP DATABASE ${database} CASCADE`])
  rmSync(folder, { recursive: true, force: true })
})

const examine = (profile: TableProfile, at = url) =>
  findingsOf((chart) => examineWarehouse(chart, { url: at, profile }), 'warehouse')
const withSensor = (sensor: Partial<TableProfile['sensor']>): TableProfile => ({
  ...own,
  sensor: { ...own.sensor, ...sensor },
})

test('tables as the profile says give no cause for complaint', async () => {
  const { of, troubles } = await examine(own)
  expect(troubles).toEqual([])
  expect(of('table sensor_history: scans')?.says).toBe('questions ask for partitions of day')
  expect(of('table sensor_history: rights')?.says).toBe('we may read it; 1 day, the last is 20261124')
  expect(of('clock')?.says).toBe('its clock and ours agree')
})

test('the old tables are right, but every question reads all of them', async () => {
  const { of, troubles } = await examine({ ...tableProfiles.legacy, database })
  expect(of('table sensor')?.status).toBe('ok')
  expect(of('table sensor: scans')).toMatchObject({
    status: 'warning',
    says: expect.stringContaining('every question reads all of it'),
  })
  expect(of('table sensor: rights')).toMatchObject({
    status: 'warning',
    says: expect.stringContaining('nothing in it'),
  })
  expect(troubles.filter(({ status }) => status === 'wrong')).toEqual([])
})

test('a missing table is named, and what depends on it is not guessed', async () => {
  const { of } = await examine(withSensor({ table: 'sensor_histroy' }))
  expect(of('table sensor_histroy')).toMatchObject({ status: 'wrong', says: 'there is no table sensor_histroy' })
  expect(of('table sensor_histroy: rights')).toMatchObject({ status: 'unchecked' })
  expect(of('table anomaly_history')?.status).toBe('ok')
})

test('columns of other types, and ones that are missing, are named', async () => {
  const { of } = await examine(withSensor({ table: 'wrong' }))
  expect(of('table wrong')).toMatchObject({
    status: 'wrong',
    details: [
      'column ts is STRING, and should be a BIGINT of epoch milliseconds',
      'column value is STRING, and should be a number',
      'there is no column lat (there are uuid, sensor, ts, value)',
      'there is no column long (there are uuid, sensor, ts, value)',
      'there is no column day (there are uuid, sensor, ts, value)',
    ],
  })
})

test('a table that is not partitioned by its day is noticed', async () => {
  const { of } = await examine(withSensor({ table: 'flat' }))
  expect(of('table flat')?.status).toBe('ok')
  expect(of('table flat: scans')).toMatchObject({
    status: 'warning',
    says: expect.stringContaining('not partitioned by day'),
  })
})

test('a port that nobody has, a login of the wrong kind, and TLS where there is none each have their sentence', async () => {
  const nobody = await freePort()
  const away = await examine(own, `hive2://127.0.0.1:${nobody}/?auth=NOSASL`)
  expect(away.of(`connection to 127.0.0.1:${nobody}`)).toMatchObject({
    status: 'wrong',
    says: `nobody listens at 127.0.0.1:${nobody}`,
  })
  expect(away.of('table sensor_history')).toMatchObject({ status: 'unchecked', says: 'no HiveServer2 lets us in' })
  const place = `login at ${new URL(url.replace('hive2:', 'http:')).host}`
  const plain = await examine(own, url.replace('NOSASL', 'PLAIN'))
  expect(plain.of(place)).toMatchObject({ status: 'wrong', advice: expect.stringContaining('try auth=NOSASL') })
  const tls = await examine(own, `${url}&tls=true`)
  expect(tls.of(place)).toMatchObject({ status: 'wrong', advice: expect.stringContaining('take tls=true out') })
})

test('a server that accepts connections and says nothing ends the check all the same', async () => {
  const silent = createServer(() => {}).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const { port } = silent.address() as AddressInfo
  const { of } = await examine(own, `hive2://127.0.0.1:${port}/?auth=NOSASL`)
  expect(of(`login at 127.0.0.1:${port}`)).toMatchObject({
    status: 'wrong',
    says: expect.stringContaining('does not answer'),
  })
  silent.close()
})

test('of two coordinators one is enough, and the other is named', async () => {
  const nobody = await freePort()
  const { of } = await examine(own, url.replace('//', `//127.0.0.1:${nobody},`))
  expect(of(`connection to 127.0.0.1:${nobody}`)?.status).toBe('wrong')
  expect(of('table sensor_history')?.status).toBe('ok')
})
