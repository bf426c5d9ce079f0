import { encodeRecord } from '@flasktoria/kafka-ingest/encode'
import { createTableStatement, historyTables } from '@flasktoria/warehouse/history-layout'
import { Kafka, logLevel } from 'kafkajs'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { reportSchema, type Report } from './doctor/report.ts'
import { freePort, isListening, startDaemon, type DaemonPlan } from './servers/daemon.ts'
import { executeHs2 } from './servers/hs2-client.ts'
import { answersHttp, planNginx } from './servers/nginx.ts'

const { KAFKA_BROKERS: brokers, REDIS_URL: redis, HS2_URL: hs2 } = process.env
if (!brokers || !redis || !hs2)
  throw new Error('KAFKA_BROKERS, REDIS_URL and HS2_URL have to name servers; npm test starts them')

const run = Math.random().toString(36).slice(2, 8)
const root = join(import.meta.dirname, '..')
const dir = mkdtempSync(join(tmpdir(), 'flasktoria-doctor-'))
const cleanup = new AsyncDisposableStack()
const environment: Record<string, string> = {
  KAFKA_BROKERS: brokers,
  KAFKA_GROUP: `whole-${run}`,
  SENSOR_TOPICS: `whole-${run}.sensor`,
  ANOMALY_TOPICS: `whole-${run}.anomaly`,
  REDIS_URL: redis,
  WAREHOUSE: 'hs2',
  HS2_URL: hs2.replace('/?', `/whole_${run}?`),
  HISTORY_DIR: join(dir, 'history'),
}

const admin = new Kafka({ brokers: brokers.split(','), logLevel: logLevel.NOTHING }).admin()
cleanup.defer(() => rmSync(dir, { recursive: true, force: true }))

async function fillTopics(): Promise<void> {
  const topics = [environment['SENSOR_TOPICS']!, environment['ANOMALY_TOPICS']!]
  await admin.connect()
  cleanup.defer(() => admin.disconnect())
  await admin.createTopics({ topics: topics.map((topic) => ({ topic, numPartitions: 2 })), waitForLeaders: true })
  cleanup.defer(() => admin.deleteTopics({ topics }))
  const producer = new Kafka({ brokers: brokers!.split(','), logLevel: logLevel.NOTHING }).producer()
  await producer.connect()
  const about = { timestamp: Date.now(), sensor_group: 'g', sensor: 'pid_13', uuid: 'car-1', src: 's' }
  const anomaly = { anomaly_id: 1, detection_time: '', confirmation_time: '', rootCause: '', recommendation: '' }
  await producer.send({
    topic: topics[0]!,
    messages: [{ value: encodeRecord.sensor({ ...about, value: 'speed: 50' }) }],
  })
  await producer.send({ topic: topics[1]!, messages: [{ value: encodeRecord.anomaly({ ...about, ...anomaly }) }] })
  await producer.disconnect()
}

async function makeTables(): Promise<void> {
  await executeHs2(hs2!, () => [`CREATE DATABASE whole_${run}`])
  cleanup.defer(() => executeHs2(hs2!, () => [`DROP DATABASE whole_${run} CASCADE`]))
  const location = `file://${join(dir, 'history')}`
  await executeHs2(environment['HS2_URL']!, ({ dialect }) => [
    ...Object.values(historyTables).map((table) => createTableStatement(dialect, table.name, table, location)),
    `INSERT INTO sensor_history PARTITION (day=20261124) VALUES ('v', 's', 1764000000000, 1.0, '1', NULL, NULL)`,
    `INSERT INTO anomaly_history PARTITION (day=20261124) VALUES ('v', 's', 1764000000000, 'd', 'c', 1, 'r', 'e')`,
  ])
}

/** query-api and stream-hub as processes, and nginx before them. */
async function startOrigin(): Promise<void> {
  const start = async (plan: DaemonPlan, isReady: () => Promise<boolean>) => {
    const daemon = await startDaemon(plan, isReady, 30_000)
    cleanup.defer(() => daemon.stop())
  }
  const startService = async (name: string, env: Record<string, string>) => {
    const port = await freePort()
    const command = [process.execPath, join(root, 'services', name, 'src/main.ts')] as const
    const plan: DaemonPlan = { name, dir, port, command, env: { ...environment, PORT: String(port), ...env } }
    await start(plan, () => answersHttp(`http://127.0.0.1:${port}/readyz`, true))
    return port
  }
  const consoleFolder = join(dir, 'console')
  mkdirSync(consoleFolder)
  writeFileSync(join(consoleFolder, 'index.html'), '<!doctype html><title>console</title>')
  const [queryApi, streamHub, port] = await Promise.all([
    startService('query-api', {}),
    startService('stream-hub', { TRANSPORT: 'ws' }),
    freePort(),
  ])
  const place = { dir, port, root: consoleFolder, queryApis: [queryApi], streamHubs: [streamHub] }
  await start(await planNginx(place), () => isListening(port))
  environment['ORIGIN_URL'] = `http://127.0.0.1:${port}`
  environment['NGINX_CONF'] = join(dir, 'nginx.conf')
}

beforeAll(async () => {
  await Promise.all([fillTopics(), makeTables(), startOrigin()])
})
afterAll(() => cleanup.disposeAsync())

async function ask(args: string[], changes: Record<string, string> = {}) {
  const child = spawn(
    process.execPath,
    ['--disable-warning=TimeoutNegativeWarning', join(root, 'tools/doctor.ts'), ...args],
    {
      env: { PATH: process.env['PATH'], ...environment, ...changes },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  const [stdout, stderr] = [text(child.stdout), text(child.stderr)]
  const [code] = await once(child, 'close')
  return { code: code as number, stdout: await stdout, stderr: await stderr }
}
const reportOf = (stdout: string): Report => reportSchema.parse(JSON.parse(stdout))

test('where everything is as it should be, everything is ok, and the exit code 0', async () => {
  const { code, stdout, stderr } = await ask(['--json'])
  expect(stderr).toBe('')
  const { findings, verdict } = reportOf(stdout)
  expect(findings.filter(({ status }) => status !== 'ok')).toEqual([])
  expect(new Set(findings.map(({ area }) => area)).size).toBe(6)
  expect({ code, verdict }).toEqual({ code: 0, verdict: 'ok' })
})

test('for people it says the same in lines; a part can be asked for', async () => {
  const { code, stdout } = await ask(['--only', 'redis,kafka'])
  expect(stdout).toMatch(
    /^kafka\n {2}ok {9}connection to [^]*\nredis\n[^]*\nok: \d+ ok, 0 unchecked, 0 warning, 0 wrong\n$/,
  )
  expect(stdout).toContain('car-1  pid_13 = 50')
  expect(code).toBe(0)
})

test('a warning makes the exit code 1, something wrong 2', async () => {
  expect((await ask(['--only', 'kafka'], { SENSOR_TOPICS: '/none-like-it/' })).code).toBe(1)
  expect((await ask(['--only', 'kafka'], { SENSOR_TOPICS: 'missing' })).code).toBe(2)
})

test('a configuration that cannot be read is a finding, and what depends on it is not guessed', async () => {
  const { code, stdout } = await ask(['--json', '--only', 'configuration,kafka'], { KAFKA_BROKERS: 'nonsense' })
  const { findings } = reportOf(stdout)
  expect(findings.find(({ check }) => check === 'kafka-ingest')).toMatchObject({
    status: 'wrong',
    says: expect.stringContaining('KAFKA_BROKERS: is no comma separated list of host:port'),
  })
  expect(findings.find(({ area }) => area === 'kafka')).toMatchObject({ status: 'unchecked' })
  expect(code).toBe(2)
})

test('an option that it does not know is answered with those that it knows', async () => {
  const { code, stderr } = await ask(['--only', 'moon'])
  expect(stderr).toContain('--only takes configuration, kafka, redis, warehouse, origin, disk, not moon')
  expect(code).toBe(2)
})
