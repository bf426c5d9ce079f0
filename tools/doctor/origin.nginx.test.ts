import { createMemoryFeeds } from '@flasktoria/live-log/feeds-memory'
import { createMemoryLog } from '@flasktoria/live-log/log-memory'
import { createMemoryMutes } from '@flasktoria/live-log/mutes-memory'
import { configSchema as querySchema, optionNames as queryNames } from '@flasktoria/query-api/config'
import { start as startQueryApi } from '@flasktoria/query-api/main'
import { readConfig } from '@flasktoria/service-kit/config'
import { createLogger } from '@flasktoria/service-kit/logger'
import { configSchema as hubSchema, optionNames as hubNames } from '@flasktoria/stream-hub/config'
import { start as startHub } from '@flasktoria/stream-hub/main'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { freePort, isListening, startDaemon } from '../servers/daemon.ts'
import { planNginx } from '../servers/nginx.ts'
import { findingsOf } from './findings.ts'
import { examineNginx } from './nginx.ts'
import { examineOrigin } from './origin.ts'

const cleanup = new AsyncDisposableStack()
const logger = createLogger('test', 'silent')
const hubTimes = { pingIntervalMs: 25_000, slowAfterMs: 30_000, maxConnections: 10_000 }
let queryPort = 0
let hubPort = 0
beforeAll(async () => {
  const log = createMemoryLog()
  const mutes = createMemoryMutes()
  const environment = { PORT: '0', TRANSPORT: 'ws' }
  const query = cleanup.use(
    await startQueryApi(readConfig(querySchema, environment, queryNames), { reader: log, mutes, logger }),
  )
  const hub = cleanup.use(
    await startHub(readConfig(hubSchema, { ...environment, DRAIN_MS: '1' }, hubNames), {
      reader: log,
      mutes,
      feeds: createMemoryFeeds(),
      logger,
    }),
  )
  queryPort = Number(new URL(query.url).port)
  hubPort = hub.port
})
afterAll(() => cleanup.disposeAsync())

type Place = { queryApis?: number[]; streamHubs?: number[]; edit?: Record<string, (text: string) => string> }

/** The origin with the project's own configuration; `edit` changes one of its files. */
async function startOrigin({ queryApis = [queryPort], streamHubs = [hubPort], edit = {} }: Place = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'flasktoria-doctor-nginx-'))
  cleanup.defer(() => rmSync(dir, { recursive: true, force: true }))
  const root = join(dir, 'console')
  mkdirSync(root)
  writeFileSync(join(root, 'index.html'), '<!doctype html><title>console</title>')
  const port = await freePort()
  const plan = await planNginx({ dir, port, root, queryApis, streamHubs })
  for (const [name, change] of Object.entries(edit)) {
    const before = readFileSync(join(dir, name), 'utf8')
    expect(change(before), `nothing to change in ${name}`).not.toBe(before)
    writeFileSync(join(dir, name), change(before))
  }
  const daemon = await startDaemon(plan, () => isListening(port), 15_000)
  cleanup.defer(() => daemon.stop())
  return { conf: join(dir, 'nginx.conf'), examine: () => examine(`http://127.0.0.1:${port}`) }
}

const examine = (origin: string) => findingsOf((chart) => examineOrigin(chart, origin), 'origin')
const readConf = (conf: string) => findingsOf((chart) => examineNginx(chart, conf, hubTimes), 'origin')

test('the origin as it is deployed gives no cause for complaint, tried or read', async () => {
  const origin = await startOrigin()
  const { of, troubles } = await origin.examine()
  expect(troubles).toEqual([])
  expect(of('api')?.says).toBe('/api/map shows 0 vehicles')
  expect(of('socket')?.says).toMatch(/^\/ws opens with flasktoria\.v2; flasktoria-stream-hub\/\S+ pings every 25 s$/)
  const read = await readConf(origin.conf)
  expect(read.troubles).toEqual([])
  expect(read.findings).toHaveLength(6)
})

test('services that are not behind it are told apart', async () => {
  const nobody = await freePort()
  const withoutApi = await (await startOrigin({ queryApis: [nobody] })).examine()
  expect(withoutApi.of('api')).toMatchObject({ status: 'wrong', advice: expect.stringContaining('query-api') })
  expect(withoutApi.of('socket')?.status).toBe('ok')
  const withoutHub = await (await startOrigin({ streamHubs: [nobody] })).examine()
  expect(withoutHub.of('socket')).toMatchObject({ status: 'wrong', advice: expect.stringContaining('stream-hub') })
  expect(withoutHub.of('api')?.status).toBe('ok')
})

test('an upgrade that is not passed on, a sub-protocol that is lost, and a missing console have their sentences', async () => {
  const edit = { 'nginx.conf': (text: string) => text.replace('"~*^GET websocket 0?$" 1;', '') }
  const origin = await startOrigin({ edit })
  expect((await origin.examine()).of('socket')).toMatchObject({
    status: 'wrong',
    says: 'the socket is refused with 404',
  })
  const deaf = await startOrigin({
    edit: {
      'nginx.conf': (text) =>
        text.replace(
          'proxy_set_header Upgrade',
          'proxy_set_header Sec-WebSocket-Protocol "";\n    proxy_set_header Upgrade',
        ),
    },
  })
  expect((await deaf.examine()).of('socket')).toMatchObject({
    status: 'wrong',
    says: '/ws opens, without the sub-protocol flasktoria.v2',
  })
  const bare = await startOrigin({ edit: { 'listen.conf': (text) => text.replace(/^root .*$/m, 'root /nowhere;') } })
  expect((await bare.examine()).of('console')).toMatchObject({
    status: 'wrong',
    says: '/ answers 404, and not with a page',
  })
})

test('a proxy that closes after each answer, and one that shows the metrics, are noticed', async () => {
  const origin = await startOrigin({
    edit: {
      'nginx.conf': (text) =>
        text
          .replace('sendfile on;', 'sendfile on; keepalive_timeout 0;')
          .replace(
            'location = /problem {',
            'location = /metrics {\n proxy_pass http://query_api;\n }\n location = /problem {',
          ),
    },
  })
  const { of } = await origin.examine()
  expect(of('keep-alive')).toMatchObject({ status: 'warning', says: 'it closes the connection after each answer' })
  expect(of('operations')).toMatchObject({ status: 'warning', says: '/metrics can be read from outside' })
})

test.each<[trap: string, file: string, change: (text: string) => string, check: string, says: string]>([
  [
    'a socket that may be silent for less than a ping takes',
    'nginx.conf',
    (text) => text.replace('proxy_read_timeout 30s;', 'proxy_read_timeout 20s;'),
    'nginx: silence',
    'nginx ends a socket that is silent for 20 s, and the hub pings every 25 s only',
  ],
  [
    'a stalled browser that nginx ends first',
    'nginx.conf',
    (text) => text.replace('send_timeout 75s;', ''),
    'nginx: slow browsers',
    'nginx ends a stalled browser after 30 s, before the hub can say why (SLOW_AFTER_MS is 30 s)',
  ],
  [
    'large buffers of its own',
    'nginx.conf',
    (text) =>
      text.replace(
        'proxy_buffer_size 8k;',
        'proxy_buffer_size 128k; proxy_buffers 8 128k; proxy_busy_buffers_size 128k;',
      ),
    'nginx: buffers',
    'nginx holds 128 KiB of each socket, each way',
  ],
  [
    "the kernel's buffers",
    'listen.conf',
    (text) => text.replace(' sndbuf=128k', ''),
    'nginx: buffers',
    'the kernel may hide up to 4 MB of each slow browser from the hub',
  ],
  [
    'connections to query-api that are not kept',
    'upstreams.conf',
    (text) => text.replace('keepalive 64;', ''),
    'nginx: kept connections',
    'each question to query-api opens a connection of its own',
  ],
  [
    'too few connections',
    'nginx.conf',
    (text) => text.replace('worker_connections 32768', 'worker_connections 1024'),
    'nginx: connections',
    'a worker of nginx takes 1024 connections, and 10000 browsers need two each',
  ],
])('of the configuration it reads %s', async (_, file, change, check, says) => {
  const { conf } = await startOrigin({ edit: { [file]: change } })
  const { of, troubles } = await readConf(conf)
  expect(of(check)).toMatchObject({ says, advice: expect.any(String) })
  expect(troubles).toHaveLength(1)
})

test('a configuration that is not there is said to be so', async () => {
  expect((await readConf('/nowhere/nginx.conf')).of('nginx')).toMatchObject({
    status: 'wrong',
    says: expect.stringContaining('ENOENT'),
  })
})
