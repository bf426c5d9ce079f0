import { errorBody } from '@flasktoria/contracts/problems'
import { fleetMapSchema, sensorSeriesSchema } from '@flasktoria/contracts/rest'
import { plainFrameSchema, serverMessageSchema, subprotocol } from '@flasktoria/contracts/stream'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { ensureBaseImages, findEngine, must, type Engine } from './containers.ts'
import { freePort } from './servers/daemon.ts'

const noEngine =
  'this machine has no container engine with compose, and CONTAINER_ENGINE_SCRIPT names none that brings one'
const project = `flasktoria-test-${process.pid}`
const cleanup = new AsyncDisposableStack()
let engine: Engine | undefined
let origin: string

const compose = (...args: string[]) => must(engine!, 'compose', '--project-name', project, ...args)

/** Asks again until the answer is there. */
async function eventually<T>(what: string, withinMs: number, ask: () => Promise<T | undefined>): Promise<T> {
  for (const deadline = Date.now() + withinMs; ; await sleep(250)) {
    const answer = await ask().catch(() => undefined)
    if (answer !== undefined) return answer
    if (Date.now() > deadline) throw new Error(`${what}: not within ${withinMs / 1_000} s\n${await lastWords()}`)
  }
}

const lastWords = async () => (await compose('logs', '--no-color', '--tail', '8')).slice(-6_000)

type Container = { ID: string; Name: string; Service: string; State: string; Health: string }
const containers = async (...services: string[]): Promise<Container[]> =>
  (await compose('ps', '--all', '--no-trunc', '--format', 'json', ...services))
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Container)

/** The sum of a metric of a service, over its labels, as the service itself tells it: nginx does not show it. */
async function metric(container: Container, name: string): Promise<number> {
  const program = 'fetch(`http://127.0.0.1:${process.env.PORT}/metrics`).then((r) => r.text()).then(console.log)'
  const text = await must(engine!, 'exec', container.ID, 'node', '-e', program)
  const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
}

const vehicles = async () => {
  const response = await fetch(`${origin}/api/map`)
  return fleetMapSchema.parse(await response.json()).vehicles
}

async function open(protocols: string[] = [], path = '/ws') {
  const socket = new WebSocket(`${origin.replace('http', 'ws')}${path}`, protocols)
  const frames: unknown[] = []
  socket.on('message', (data: Buffer) => frames.push(JSON.parse(data.toString())))
  socket.on('error', () => {})
  cleanup.defer(() => socket.terminate())
  await once(socket, 'open')
  return { socket, frames }
}

beforeAll(async () => {
  engine = await findEngine()
  if (!engine) {
    if (process.env['CI']) throw new Error(noEngine)
    return
  }
  cleanup.use(engine)
  await ensureBaseImages(engine)
  const port = await freePort()
  origin = `http://127.0.0.1:${port}`
  // The servers that the other tests share are not those of these containers.
  for (const name of ['REDIS_URL', 'KAFKA_BROKERS', 'HS2_URL']) delete engine.env[name]
  Object.assign(engine.env, {
    PORT: String(port),
    HISTORY_FLUSH_INTERVAL_MS: '3000',
    HUB_NOFILE: '16384',
    NGINX_NOFILE: '16384',
  })
  await compose('build')
  cleanup.defer(async () => void (await compose('down', '--volumes', '--timeout', '5')))
  try {
    await compose('up', '--pull', 'never', '--detach', '--wait', '--wait-timeout', '240')
  } catch (error) {
    throw new Error(`${String(error)}\n${await lastWords()}`, { cause: error })
  }
}, 900_000)
afterAll(() => cleanup.disposeAsync(), 120_000)
beforeEach((context) => {
  if (!engine) context.skip(noEngine)
})

describe('docker compose up', () => {
  test('gives services that are all healthy', async () => {
    const all = await containers()
    const states = Object.fromEntries(all.map(({ Service, State, Health }) => [Service, Health || State]))
    expect(states).toEqual({
      nginx: 'healthy',
      'query-api': 'healthy',
      'stream-hub': 'healthy',
      'kafka-ingest': 'healthy',
      simulator: 'running',
      redis: 'healthy',
      kafka: 'healthy',
      topics: 'exited',
      warehouse: 'healthy',
    })
  })

  test('shows the console at / and nobody the services’ metrics', async () => {
    const page = await fetch(origin)
    expect([page.status, await page.text()]).toEqual([200, expect.stringContaining('<!doctype html>')])
    const metrics = await fetch(`${origin}/metrics`)
    expect([metrics.status, await metrics.json()]).toEqual([404, errorBody('not_found')])
  })

  test('puts vehicles on the map, and they move', async () => {
    const before = await eventually('vehicles on the map', 30_000, async () => {
      const found = await vehicles()
      return found.length > 0 ? found : undefined
    })
    const places = new Map(before.map(({ id, lat, long }) => [id, `${lat},${long}`]))
    const moved = await eventually('a vehicle that moves', 30_000, async () =>
      (await vehicles()).find(({ id, lat, long }) => places.has(id) && places.get(id) !== `${lat},${long}`),
    )
    expect(moved.status).toBe('ok')
  })

  test('sends updates over a plain socket, on any path', async () => {
    const { frames } = await open([], '/anything')
    const frame = await eventually('a frame', 15_000, async () => frames[0])
    expect(plainFrameSchema.parse(frame).updates.length).toBeGreaterThan(0)
  })

  test('sends a snapshot and updates over the new protocol', async () => {
    const { socket, frames } = await open([subprotocol])
    socket.send(JSON.stringify({ type: 'subscribe', id: 'all', kinds: ['position'] }))
    const types = await eventually('a snapshot and updates', 15_000, async () => {
      const seen = new Set(frames.map((frame) => serverMessageSchema.parse(frame).type))
      return seen.has('updates') ? seen : undefined
    })
    expect([...types].filter((type) => type !== 'feed')).toEqual(['hello', 'ack', 'snapshot', 'updates'])
  })

  test('answers about the past out of the warehouse', async () => {
    const [{ id } = { id: '' }] = await vehicles()
    const since = Date.now() - 600_000
    const path = `/api/sensordata/${id}?sensor_ids=pid_13_mode_1&start_ts=${since}`
    const [queryApi] = await containers('query-api')
    const values = await eventually('rows out of the warehouse', 90_000, async () => {
      const answer = sensorSeriesSchema.parse(await (await fetch(`${origin}${path}`)).json())
      const readings = answer['pid_13_mode_1'] ?? []
      // The fleet has just begun to drive.
      const isEnough = readings.length > 3 && (await metric(queryApi!, 'flasktoria_history_rows_total')) > 0
      return isEnough ? readings : undefined
    })
    const times = values.map(({ timestamp }) => timestamp)
    expect(times).toEqual([...new Set(times)].toSorted((a, b) => b - a))
  })
})

describe('every container', () => {
  test('runs without privileges', async () => {
    const ids = (await containers()).map(({ ID }) => ID)
    const inspected = JSON.parse(await must(engine!, 'inspect', ...ids)) as {
      Config: { User: string; Labels: Record<string, string> }
      HostConfig: {
        ReadonlyRootfs: boolean
        CapDrop: string[]
        SecurityOpt: string[]
        PidsLimit: number
        Memory: number
      }
    }[]
    for (const { Config, HostConfig } of inspected) {
      const service = Config.Labels['com.docker.compose.service']
      expect(HostConfig, service).toMatchObject({ CapDrop: ['ALL'], SecurityOpt: ['no-new-privileges:true'] })
      expect(Config.User, service).toMatch(/^[1-9]\d*:[1-9]\d*$/)
      expect(HostConfig.ReadonlyRootfs, service).toBe(service !== 'kafka')
      expect(Math.min(HostConfig.Memory, HostConfig.PidsLimit), service).toBeGreaterThan(0)
    }
  })

  test('of ours can neither be root nor write its own files', async () => {
    for (const service of ['nginx', 'query-api', 'stream-hub', 'kafka-ingest', 'simulator', 'redis', 'warehouse']) {
      const [container] = await containers(service)
      const { stdout } = await engine!.docker(
        'exec',
        container!.ID,
        'sh',
        '-c',
        'id -u; touch /usr/x 2>/dev/null || echo refused',
      )
      expect(stdout, service).toMatch(/^[1-9]\d*\nrefused\n$/)
    }
  })
})

const sessions = async () =>
  Promise.all((await containers('stream-hub')).map((hub) => metric(hub, 'flasktoria_stream_sessions')))

describe('hubs', () => {
  test('scale, and nginx finds the new ones by itself', async () => {
    await compose(
      'up',
      '--pull',
      'never',
      '--detach',
      '--wait',
      '--no-recreate',
      '--scale',
      'stream-hub=3',
      'stream-hub',
    )
    const counts = await eventually('three hubs with sessions', 30_000, async () => {
      await Promise.all([open(), open(), open()])
      const found = await sessions()
      return found.every((count) => count > 0) ? found : undefined
    })
    expect(counts).toHaveLength(3)
  })

  test('that die are healthy again soon, and until then the others answer', async () => {
    const [victim] = await containers('stream-hub')
    // Everything but init and the shell itself.
    await engine!.docker('exec', victim!.ID, 'sh', '-c', 'kill -9 -1')
    const { frames } = await open()
    await eventually('a frame from another hub', 15_000, async () => frames[0])
    const restarted = await eventually('a hub that is healthy again', 30_000, async () => {
      const again = (await containers('stream-hub')).find(({ ID }) => ID === victim!.ID)
      const restarts = await must(engine!, 'inspect', '--format', '{{.RestartCount}}', victim!.ID)
      return again?.Health === 'healthy' && Number(restarts) > 0 ? Number(restarts) : undefined
    })
    expect(restarted).toBe(1)
  })
})

test('docker compose down leaves nothing', async () => {
  await compose('down', '--volumes', '--timeout', '10')
  expect(await containers()).toEqual([])
  expect(
    await must(engine!, 'volume', 'ls', '--quiet', '--filter', `label=com.docker.compose.project=${project}`),
  ).toBe('')
})
