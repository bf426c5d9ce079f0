import { Redis } from 'ioredis'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { freePort, type Server } from '../servers/daemon.ts'
import { startRedis } from '../servers/redis.ts'
import { findingsOf } from './findings.ts'
import { examineRedis } from './redis.ts'

const shared = process.env['REDIS_URL']
if (!shared) throw new Error('REDIS_URL names no Redis; npm test starts one')

const dir = mkdtempSync(join(tmpdir(), 'flasktoria-doctor-redis-'))
/** One of our own, that tests may spoil. */
let server: Server
let redis: Redis
beforeAll(async () => {
  server = await startRedis({ dir, port: await freePort(), isPersistent: false })
  redis = new Redis(server.url)
})
beforeEach(() => redis.config('SET', 'maxmemory-policy', 'noeviction'))
afterAll(async () => {
  redis.disconnect()
  await server.kill()
  rmSync(dir, { recursive: true, force: true })
})

const examine = (url: string | undefined) => findingsOf((chart) => examineRedis(chart, url), 'redis')

test('a Redis as it should be gives no cause for complaint', async () => {
  const { findings, troubles } = await examine(shared)
  expect(troubles).toEqual([])
  expect(findings.map(({ check }) => check)).toEqual([
    'connection',
    'login',
    'version',
    'role',
    'eviction',
    'memory',
    'persistence',
    'rights',
    'clock',
  ])
})

test('what cannot be checked because there is no Redis says so', async () => {
  const { of } = await examine(`redis://127.0.0.1:${await freePort()}`)
  expect(of('connection')).toMatchObject({
    status: 'wrong',
    says: expect.stringMatching(/^nobody listens at 127\.0\.0\.1:/),
  })
  expect(of('eviction')).toMatchObject({ status: 'unchecked', says: 'Redis is not reachable' })
  expect((await examine(undefined)).of('address')).toMatchObject({ status: 'wrong', says: 'REDIS_URL is missing' })
})

test('a name that nobody knows is told from a port that nobody has', async () => {
  const { of } = await examine('redis://redis.invalid:6379')
  expect(of('connection')).toMatchObject({ status: 'wrong', says: "the name redis.invalid can't be resolved" })
})

test('a Redis that evicts is wrong', async () => {
  await redis.config('SET', 'maxmemory-policy', 'allkeys-lru')
  const { of, troubles } = await examine(server.url)
  expect(troubles).toHaveLength(1)
  expect(of('eviction')).toMatchObject({
    status: 'wrong',
    says: expect.stringContaining('maxmemory-policy is allkeys-lru'),
    advice: expect.stringContaining('noeviction'),
  })
})

test('a Redis that is nearly full is noticed, and one that is full is wrong', async () => {
  const used = Number(/^used_memory:(\d+)/m.exec(await redis.info('memory'))?.[1])
  await redis.config('SET', 'maxmemory', Math.round(used * 1.1))
  try {
    const { of } = await examine(server.url)
    expect(of('memory')).toMatchObject({ status: 'warning', says: expect.stringContaining('nearly full') })
    await redis.config('SET', 'maxmemory', '1')
    expect((await examine(server.url)).of('rights')).toMatchObject({ status: 'wrong', advice: 'Raise maxmemory.' })
  } finally {
    await redis.config('SET', 'maxmemory', '0')
  }
})

test('a missing password, a wrong one and a missing right are told apart', async () => {
  const loggedIn = (login: string) => server.url.replace('//', `//${login}@`)
  await redis.call('ACL', 'SETUSER', 'reader', 'on', '>open', '~*', '&*', '+@read', '+@connection', '+info')
  await redis.config('SET', 'requirepass', 'sesame')
  try {
    expect((await examine(server.url)).of('login')?.says).toContain('it wants a password')
    expect((await examine(loggedIn(':wrong'))).of('login')?.says).toContain('the user or the password is wrong')
    expect((await examine(loggedIn(':sesame'))).troubles).toEqual([])
    const { of } = await examine(loggedIn('reader:open'))
    expect(of('login')?.status).toBe('ok')
    expect(of('rights')).toMatchObject({ status: 'wrong', says: expect.stringContaining('this user lacks a right') })
  } finally {
    await redis.config('SET', 'requirepass', '')
  }
})

test('a replica takes no writes, and its primary is named', async () => {
  const { hostname, port } = new URL(shared)
  await redis.replicaof(hostname, Number(port))
  try {
    await expect.poll(() => redis.info('replication')).toContain('role:slave')
    const { of } = await examine(server.url)
    expect(of('role')).toMatchObject({ status: 'wrong', advice: `Let REDIS_URL name ${hostname}:${port}.` })
    expect(of('rights')).toMatchObject({ status: 'wrong', says: expect.stringContaining('it is a replica') })
  } finally {
    await redis.replicaof('NO', 'ONE')
  }
})

test('a frozen Redis accepts connections and does not answer', async () => {
  process.kill(server.pid, 'SIGSTOP')
  try {
    const { of } = await examine(server.url)
    expect(of('connection')?.status).toBe('ok')
    expect(of('login')).toMatchObject({ status: 'wrong', says: 'it accepts connections and does not answer' })
    expect(of('clock')).toMatchObject({ status: 'unchecked' })
  } finally {
    process.kill(server.pid, 'SIGCONT')
  }
})

test('a Redis without TLS that is asked for TLS is told from a frozen one', async () => {
  const { of } = await examine(server.url.replace('redis:', 'rediss:'))
  expect(of('login')).toMatchObject({ status: 'wrong', says: 'it accepts connections and does not speak TLS' })
})
