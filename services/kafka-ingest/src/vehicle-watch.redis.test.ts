import { createRedisLease } from '@flasktoria/live-log/lease-redis'
import { createRedisLog } from '@flasktoria/live-log/log-redis'
import { ownRedis, redisUrl } from '@flasktoria/live-log/testing-redis'
import { createLogger } from '@flasktoria/service-kit/logger'
import { createMetrics } from '@flasktoria/service-kit/metrics'
import { randomUUID } from 'node:crypto'
import { describe, test, vi, type TestContext } from 'vitest'
import type { PresenceLimits } from './presence.ts'
import { VehicleWatch } from './vehicle-watch.ts'

vi.setConfig({ testTimeout: 30_000 })

const limits: PresenceLimits = { staleMinMs: 2_500, staleMaxMs: 2_500, offlineMinMs: 5_000, offlineMaxMs: 5_000 }
const logger = createLogger('test', 'silent')

/** One log; `report` is what arrives in it, `said` what is said of the vehicles. */
async function openWorld({ onTestFinished }: TestContext, url = redisUrl()) {
  const settings = { url, prefix: `test-${randomUUID()}` }
  const log = createRedisLog(settings)
  onTestFinished(() => log.close())
  const said: string[] = []
  await log.follow({
    onSnapshot: () => {},
    onEntries: (entries) => {
      for (const { kind, json } of entries) {
        const { vehicle_id: vehicle, value } = JSON.parse(json) as { vehicle_id: string; value: string }
        if (kind === 'vehiclestatus') said.push(`${vehicle} ${value}`)
      }
    },
  })
  let at = 0
  const report = (...vehicles: string[]) =>
    log.append(
      vehicles.map((vehicle) => ({ kind: 'position', vehicle, sensor: '', eventTs: ++at, json: '{}' }) as const),
    )
  const keepReporting = (...vehicles: string[]) => {
    const timer = setInterval(() => void report(...vehicles).catch(() => {}), 200)
    onTestFinished(() => clearInterval(timer))
    return () => clearInterval(timer)
  }
  return { settings, said, report, keepReporting }
}

/** An instance that watches, with connections of its own, and can be ended as by a kill. */
function startWatch({ onTestFinished }: TestContext, settings: { url: string; prefix: string }) {
  const lease = createRedisLease({ ...settings, name: 'vehicle-watch' })
  const log = createRedisLog(settings)
  const metrics = createMetrics('test')
  const watch = new VehicleWatch({ lease, log, limits, metrics, logger })
  const kill = async () => {
    await lease.close()
    await log.close()
  }
  onTestFinished(async () => {
    await kill()
    await watch[Symbol.asyncDispose]()
  })
  const vehicles = async () => (await metrics.registry.getSingleMetric('flasktoria_vehicles')!.get()).values.length
  return { watch, kill, isWatching: async () => (await vehicles()) > 0 }
}

const soon = { timeout: 10_000, interval: 50 }

// Each of them waits for seconds until vehicles are offline.
describe.concurrent('the watch over the vehicles', () => {
  test('of two instances one watches, and each change is said once', async (context) => {
    const { expect } = context
    const { settings, said, report } = await openWorld(context)
    const [first, second] = [startWatch(context, settings), startWatch(context, settings)]
    await report('v', 'w')
    await expect.poll(() => said.toSorted(), soon).toEqual(['v online', 'w online'])
    await expect.poll(() => said.slice(2).toSorted(), soon).toEqual(['v stale', 'w stale'])
    await expect.poll(() => said.slice(4).toSorted(), soon).toEqual(['v offline', 'w offline'])
    await report('v')
    await expect.poll(() => said.slice(6), soon).toEqual(['v online'])
    expect([await first.isWatching(), await second.isWatching()].filter(Boolean)).toHaveLength(1)
  })

  test('when the one that watches dies, another one takes over within five seconds and says nothing that is not so', async (context) => {
    const { expect } = context
    const { settings, said, report, keepReporting } = await openWorld(context)
    const first = startWatch(context, settings)
    keepReporting('here', 'too')
    await report('gone')
    await expect.poll(() => said.length, soon).toBe(3)
    const second = startWatch(context, settings)
    await expect.poll(() => said, soon).toContain('gone offline')
    const before = [...said]
    expect(await second.isWatching()).toBe(false)

    await first.kill()
    const killedAt = performance.now()
    await expect.poll(second.isWatching, soon).toBe(true)
    expect(performance.now() - killedAt).toBeLessThan(5_000)
    expect(said).toEqual(before)
    await report('gone')
    await expect.poll(() => said.slice(before.length), soon).toEqual(['gone online'])
  })

  test('one that ends makes room at once', async (context) => {
    const { expect } = context
    const { settings, report } = await openWorld(context)
    await report('v')
    const first = startWatch(context, settings)
    await expect.poll(first.isWatching, soon).toBe(true)
    const second = startWatch(context, settings)
    await first.watch[Symbol.asyncDispose]()
    await expect.poll(second.isWatching, { timeout: 2_000, interval: 50 }).toBe(true)
  })

  test('while Redis stands still, or is away, no vehicle gets worse; and those that are gone do after it', async (context) => {
    const { expect } = context
    await using server = await ownRedis()
    const { settings, said, report, keepReporting } = await openWorld(context, server.url)
    startWatch(context, settings)
    const stop = keepReporting('v')
    await report('gone')
    await expect.poll(() => said.toSorted(), soon).toEqual(['gone online', 'v online'])
    server.freeze()
    const until = Date.now() + 6_000
    await expect.poll(() => Date.now() > until, { timeout: 8_000 }).toBe(true)
    server.thaw()
    await expect.poll(() => said.slice(2), soon).toEqual(['gone stale', 'gone offline'])
    stop()
    await expect.poll(() => said.slice(4), soon).toEqual(['v stale', 'v offline'])
  })
})
