import { setTimeout as sleep } from 'node:timers/promises'
import type { MessageOf } from '@flasktoria/client/server-message'
import type { Bbox, ServerMessage } from '@flasktoria/contracts/stream'
import type { Update } from '@flasktoria/contracts/updates'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { boxBetween, boxErrors, isInside } from './e2e/boxes.ts'
import { addHub, sessionsOf } from './e2e/hubs.ts'
import { Observer } from './e2e/observers.ts'
import { createProducers, type Producers } from './e2e/producers.ts'
import { loadReadings, validReadings, type Reading } from './e2e/readings.ts'
import { RawClient } from './e2e/raw-client.ts'
import { createReplay, type Replay } from './e2e/replay.ts'
import { stackUnderTest, type StackUnderTest } from './e2e/stack-under-test.ts'
import { isRunning } from './servers/daemon.ts'
import type { StackStatus } from './stack/status.ts'

const soon = { timeout: 20_000, interval: 100 }
const perSecond = 500
/** So that nobody has to wait for minutes until a vehicle is gone; and the recording runs faster than its vehicles did. */
const impatience = {
  MAX_SPEED_KMH: '0',
  STALE_MIN_MS: '2000',
  STALE_MAX_MS: '6000',
  OFFLINE_MIN_MS: '8000',
  OFFLINE_MAX_MS: '20000',
}
const speed = 'pid_13_mode_1'

let stack: StackUnderTest
let status: StackStatus
let producers: Producers
let replay: Replay
/** An unfiltered client: what there is to see. */
let truth: Observer

const socketUrl = () => `${status.origin.replace('http', 'ws')}/ws`
const hubUrls = () => status.services.filter(({ name }) => name === 'stream-hub').map(({ url }) => url)
const vehicles = () => [...truth.view.positions.keys()]
const serials = (count: number) => Array.from({ length: count }, (_, index) => index)
const isOpen = (who: Observer) => vi.waitFor(() => expect(who.isOpen).toBe(true), soon)

/** A client through nginx, and all that it hears. */
function connect(
  ...[wishes, onMessage]: Parameters<typeof Observer.v2> extends [string, ...infer Rest] ? Rest : never
) {
  const heard: ServerMessage[] = []
  const observer = Observer.v2(socketUrl(), wishes, (message) => {
    heard.push(message)
    onMessage?.(message)
  })
  onTestFinished(() => observer.close())
  return { observer, heard }
}
const updatesIn = (heard: readonly ServerMessage[]): Update[] =>
  heard.flatMap((message) => ('updates' in message ? message.updates : []))
const feeds = (heard: readonly ServerMessage[]): MessageOf<'feed'>[] =>
  heard.filter((message) => message.type === 'feed')
const pulse = (vehicle: string, text: string): Reading => ({ vehicle, ts: Date.now(), sensor: speed, text })
const speedOf = (who: Pick<Observer, 'view'>, vehicle: string) => who.view.readings.get(vehicle)?.get(speed)?.value

const untilFleetIsSeen = () => vi.waitFor(() => expect(vehicles().length).toBeGreaterThan(15), soon)

/** Traffic stops, and all of it has arrived. */
async function untilQuiet() {
  await replay.stop()
  await expect.poll(() => truth.missing(replay.last), soon).toEqual([])
}

beforeAll(async () => {
  stack = await stackUnderTest(impatience)
  await stack.up()
  status = await stack.status()
  producers = await createProducers(status)
  replay = createReplay(validReadings(loadReadings()), producers, perSecond)
  truth = Observer.v2(socketUrl())
  await isOpen(truth)
  replay.start()
  await untilFleetIsSeen()
}, 600_000)

afterAll(async () => {
  await replay?.stop()
  truth?.close()
  await producers?.close()
  await stack?.remove()
})

test.skipIf(!process.env['RECORDINGS_DIR'])(
  'the fleets of the real recording are seen; without it a simulated one is',
  () => {
    const fleets = new Set(vehicles().map((vehicle) => vehicle.split('-')[0]))
    expect(fleets).toEqual(new Set(['capmetro', 'omaha', 'rabat']))
  },
)

describe('what a client asks for, through nginx', () => {
  test('kinds, sensors and vehicles narrow, and what they leave arrives whole', async () => {
    replay.start()
    const some = vehicles().slice(0, 5)
    const speeds = connect({ kinds: ['sensordata'], sensors: [speed] })
    const few = connect({ vehicles: some })
    await expect.poll(() => updatesIn(speeds.heard).length, soon).toBeGreaterThan(200)
    await untilQuiet()
    const expected = [...truth.view.readings].flatMap(([vehicle]) => speedOf(truth, vehicle) ?? [])
    const shown = () => [...truth.view.readings].flatMap(([vehicle]) => speedOf(speeds.observer, vehicle) ?? [])
    await expect.poll(shown, soon).toEqual(expected)
    const fewLast = new Map([...replay.last].filter(([, { vehicle }]) => some.includes(vehicle)))
    await expect.poll(() => few.observer.missing(fewLast), soon).toEqual([])
    expect(updatesIn(speeds.heard).filter((one) => !('sensor_id' in one) || one.sensor_id !== speed)).toEqual([])
    expect(updatesIn(few.heard).filter(({ vehicle_id }) => !some.includes(vehicle_id))).toEqual([])
  })

  test('a box shows who is in it, while it moves and they do', async () => {
    replay.start()
    const places = [...truth.view.positions.values()]
    const shares = [0.1, 0.3, 0.5, 0.2, 0]
    let box: Bbox = boxBetween(places, 0, 0.6)
    let isAsked = false
    const strays: Update[] = []
    const { observer, heard } = connect({ bbox: box, kinds: ['position', 'sensordata'] }, (message) => {
      if (message.type === 'ack') isAsked = false
      if ('updates' in message && !isAsked)
        strays.push(...message.updates.filter((one) => one.update_type === 'position' && !isInside(box, one)))
    })
    await isOpen(observer)
    for (const share of shares) {
      const before = heard.length
      await sleep(800)
      box = boxBetween(places, share, share + 0.4)
      isAsked = true
      observer.live.update('all', { bbox: box })
      await expect.poll(() => heard.slice(before).some(({ type }) => type === 'ack'), soon).toBe(true)
    }
    await sleep(800)
    await untilQuiet()
    await expect.poll(() => boxErrors(box, truth.view, observer.view), soon).toEqual([])
    expect(observer.view.positions.size).toBeGreaterThan(0)
    expect(strays).toEqual([])
    expect(observer.regressions).toEqual([])
    const ways = new Set(heard.map((message) => (message.type === 'snapshot' ? message.reason : message.type)))
    expect([...ways]).toEqual(expect.arrayContaining(['subscribed', 'entered', 'updates', 'leave']))
  })

  test('a far view gets positions only, at the rate that it asked for, and is told what was left out', async () => {
    replay.start()
    const far = connect({ positionsOnly: true, maxRateHz: 2 })
    const near = connect({})
    await expect.poll(() => far.heard.some(({ type }) => type === 'updates'), soon).toBe(true)
    const frames = ({ heard }: typeof far) => heard.filter((message) => message.type === 'updates')
    const [farBefore, nearBefore] = [frames(far).length, frames(near).length]
    await sleep(5_000)
    const count = frames(far).length - farBefore
    expect(count).toBeGreaterThanOrEqual(7)
    expect(count).toBeLessThanOrEqual(11)
    expect(frames(near).length - nearBefore).toBeGreaterThan(count * 3)
    expect(updatesIn(far.heard).filter(({ update_type }) => update_type !== 'position')).toEqual([])
    expect(frames(far).some(({ conflated }) => conflated !== undefined)).toBe(true)
    await untilQuiet()
    await expect.poll(() => far.observer.view.positions, soon).toEqual(truth.view.positions)
  })

  test('each reading of a sensor comes to a chart, while others get the newest', async () => {
    replay.start()
    const chart = connect({ vehicles: ['charted'], sensors: [speed], kinds: ['sensordata'], every: true, maxRateHz: 2 })
    const other = connect({ vehicles: ['charted'], maxRateHz: 2 })
    await Promise.all([isOpen(chart.observer), isOpen(other.observer)])
    const begin = Date.now()
    const sent = serials(300).map((index) => ({ ...pulse('charted', String(index)), ts: begin - 300 + index }))
    for (let next = 0; next < sent.length; next += 10) {
      await producers.precise(sent.slice(next, next + 10))
      await sleep(20)
    }
    const values = ({ heard }: typeof chart) =>
      updatesIn(heard)
        .flatMap((one) => (one.update_type === 'sensordata' ? one.values.map(({ value }) => value) : []))
        .toSorted((a, b) => a - b)
    await expect.poll(() => values(chart), soon).toEqual(serials(300))
    await expect.poll(() => speedOf(other.observer, 'charted'), soon).toBe('299')
    expect(values(other).length).toBeLessThan(100)
  })

  test('statistics of a session come when they are asked for', async () => {
    replay.start()
    const { observer, heard } = connect({ maxRateHz: 1 })
    await expect.poll(() => updatesIn(heard).length, soon).toBeGreaterThan(500)
    observer.live.askStats()
    const stats = () => heard.findLast((message) => message.type === 'stats')
    await expect.poll(stats, soon).toBeDefined()
    expect(stats()!.delivered).toBeGreaterThan(500)
    expect(stats()!.conflated).toBeGreaterThan(0)
    expect(stats()).toMatchObject({ isLagging: false, maxRateHz: null, bufferedBytes: 0 })
  })
})

describe('what a client need not ask for', () => {
  test('how fresh the data is comes every few seconds', async () => {
    replay.start()
    const { heard } = connect({ kinds: ['anomaly'] })
    await expect.poll(() => feeds(heard).length, soon).toBeGreaterThanOrEqual(2)
    const { lagMs, kafkaLagRecords, logLagMs } = feeds(heard).at(-1)!
    expect(lagMs).toBeLessThan(5_000)
    expect(kafkaLagRecords).toBeLessThan(5 * perSecond)
    expect(logLagMs).toBeLessThan(2_000)
    await untilQuiet()
    const quietSince = Date.now()
    await expect.poll(() => feeds(heard).at(-1)!.lagMs, soon).toBeGreaterThan(5_000)
    expect(feeds(heard).at(-1)!.lagMs).toBeLessThan(Date.now() - quietSince + 3_000)
  })

  test('a vehicle that falls silent is stale, then offline, and online when it speaks again', async () => {
    const { observer, heard } = connect({ kinds: ['vehiclestatus'] })
    await isOpen(observer)
    const stop = new AbortController()
    let isPatientWell = true
    const beating = (async () => {
      for (let beat = 0; !stop.signal.aborted; beat++) {
        const names = isPatientWell ? ['patient', 'healthy'] : ['healthy']
        await producers.precise(names.map((name) => pulse(name, String(beat))))
        await sleep(200)
      }
    })()
    const becomes = (value: string) =>
      expect.poll(() => observer.view.health.get('patient'), { timeout: 40_000, interval: 100 }).toBe(value)
    await becomes('online')
    await sleep(4_000)
    isPatientWell = false
    await becomes('stale')
    await becomes('offline')
    isPatientWell = true
    await becomes('online')
    stop.abort()
    await beating
    const said = (vehicle: string) =>
      updatesIn(heard).flatMap((one) => (one.vehicle_id === vehicle && 'value' in one ? [one.value] : []))
    expect(said('patient')).toEqual(['online', 'stale', 'offline', 'online'])
    expect(said('healthy')).toEqual(['online'])
  })
})

describe('a client that is cut off, or hangs', () => {
  test('the other hub sends what changed since, and nothing else', async () => {
    replay.start()
    // Those of the tests before are gone.
    await expect.poll(countSessions, soon).toBe(1)
    const [first, home] = await landing()
    await expect.poll(() => first.isWhole, soon).toBe(true)
    const { cursor, fleet } = first
    first.close()
    await producers.anomalies('while-away', serials(20))
    await sleep(1_000)
    await untilQuiet()

    // nginx gives the next one to the hub with the fewest: two are to stay at home, and nobody else.
    const others: [RawClient, number][] = []
    while (others.filter(([, hub]) => hub === home).length < 2) others.push(await landing())
    for (const [client, hub] of others) if (hub !== home) client.close()
    await expect.poll(countSessions, soon).toBe(3)
    const [second, away] = await landing({ cursor, fleet })
    expect(away).not.toBe(home)
    await expect.poll(() => fleet.anomalies.length, soon).toBe(20)
    await expect.poll(() => fleet.view('all').readings, soon).toEqual(truth.view.readings)
    const { heard } = second
    expect(heard.filter(({ type }) => type === 'snapshot' || type === 'gap')).toEqual([])
    expect(new Set(fleet.anomalies.map(({ detection_timestamp }) => detection_timestamp)).size).toBe(20)
  })

  test('a client that takes no bytes for ten seconds is not cut, hurts nobody, and is current at once afterwards', async () => {
    replay.start()
    let longestPauseMs = 0
    let heardAt = performance.now()
    const neighbour = connect({}, () => {
      longestPauseMs = Math.max(longestPauseMs, performance.now() - heardAt)
      heardAt = performance.now()
    })
    const stalled = rawClient()
    await expect.poll(() => stalled.isWhole && neighbour.observer.isOpen, soon).toBe(true)
    longestPauseMs = 0
    stalled.stall()
    await sleep(1_000)
    const { bytes } = stalled
    await sleep(9_000)
    const pauseOfNeighbourMs = longestPauseMs
    await producers.precise([pulse('marker', '1')])
    await expect.poll(() => speedOf(neighbour.observer, 'marker'), soon).toBe('1')
    expect(stalled.bytes).toBe(bytes)

    const goesOnAt = performance.now()
    stalled.goOn()
    const marker = () => stalled.fleet.view('all').readings.get('marker')?.get(speed)?.value
    await expect.poll(marker, { timeout: 10_000, interval: 5 }).toBe('1')
    const currentAfterMs = performance.now() - goesOnAt
    console.log(
      `current ${Math.round(currentAfterMs)} ms after it read again; longest pause of a neighbour ${Math.round(pauseOfNeighbourMs)} ms`,
    )
    expect(currentAfterMs).toBeLessThan(1_000)
    expect(pauseOfNeighbourMs).toBeLessThan(1_000)
    expect(stalled.closeCode).toBeUndefined()
    stalled.say({ type: 'stats' })
    await expect
      .poll(() => stalled.heard.findLast(({ type }) => type === 'stats'), soon)
      .toMatchObject({
        caughtUp: expect.toSatisfy((count: number) => count > 0),
      })
    await untilQuiet()
    await expect.poll(() => stalled.fleet.view('all').readings, soon).toEqual(truth.view.readings)
  })
})

describe('hubs that come and go under load', () => {
  test('a rolling restart of both loses nothing and sends nothing twice', async () => {
    replay.start()
    const box = boxBetween([...truth.view.positions.values()], 0.1, 0.7)
    const byes: number[] = []
    const note = (message: ServerMessage) => {
      if (message.type === 'bye') byes.push(message.reconnectAfterMs)
    }
    const whole = Array.from({ length: 12 }, () => connect({}, note).observer)
    const boxes = Array.from({ length: 6 }, () => connect({ bbox: box, kinds: ['position'] }, note).observer)
    const anomalies = Array.from({ length: 6 }, () => connect({ kinds: ['anomaly'] }, note).observer)
    const all = [...whole, ...boxes, ...anomalies]
    for (const observer of all) await isOpen(observer)

    const stop = new AbortController()
    let sent = 0
    const trouble = (async () => {
      for (; !stop.signal.aborted; sent++) {
        await producers.anomalies('rolling', [sent])
        await sleep(40)
      }
    })()
    for (const pid of await stack.pidsOf('stream-hub')) await restart(pid!)
    await sleep(1_000)
    stop.abort()
    await trouble
    await untilQuiet()

    for (const observer of [...whole, ...anomalies]) {
      await expect.poll(() => observer.serials('rolling').length, soon).toBeGreaterThanOrEqual(sent)
      expect(observer.serials('rolling').toSorted((a, b) => a - b)).toEqual(serials(sent))
    }
    for (const observer of whole) await expect.poll(() => observer.missing(replay.last), soon).toEqual([])
    for (const observer of boxes) await expect.poll(() => boxErrors(box, truth.view, observer.view), soon).toEqual([])
    expect(all.map(({ gaps }) => gaps)).toEqual(all.map(() => 0))
    expect(all.flatMap(({ regressions }) => regressions)).toEqual([])
    // Each client was on a hub that ended, many on both.
    expect(byes.length).toBeGreaterThanOrEqual(all.length)
    expect(new Set(byes).size).toBeGreaterThan(1)
  })

  test('a third hub takes its share and gives it back, and no client of the others notices', async () => {
    replay.start()
    const states: string[] = []
    const settled = Array.from({ length: 4 }, () => connect({}, ({ type }) => void states.push(type)).observer)
    for (const observer of settled) await isOpen(observer)
    const third = await addHub(stack)
    onTestFinished(() => third.stop())
    const guests: ReturnType<typeof connect>[] = []
    const guestsOfThird = async () => (await sessionsOf([third.url]))[0]!
    // nginx may take a moment to begin with what it was told.
    for (const deadline = Date.now() + 20_000; (await guestsOfThird()) < 2 && Date.now() < deadline;) {
      const guest = connect({})
      guests.push(guest)
      await isOpen(guest.observer)
    }
    expect(await guestsOfThird()).toBe(2)

    await producers.anomalies('third', serials(10))
    await third.stop()
    await producers.anomalies('third', serials(20).slice(10))
    for (const { observer, heard } of guests) {
      await expect.poll(() => observer.serials('third').toSorted((a, b) => a - b), soon).toEqual(serials(20))
      expect(heard.filter(({ type }) => type === 'snapshot' || type === 'gap')).toHaveLength(1)
    }
    expect(guests.filter(({ heard }) => heard.some(({ type }) => type === 'bye'))).toHaveLength(2)
    expect(states.filter((type) => type === 'bye')).toEqual([])
    expect(states.filter((type) => type === 'hello')).toHaveLength(settled.length)
  })
})

const countSessions = async () => (await sessionsOf(hubUrls())).reduce((sum, count) => sum + count, 0)

/** A client, and which hub nginx gave it to. */
async function landing(resume: ConstructorParameters<typeof RawClient>[1] = {}): Promise<[RawClient, number]> {
  const before = await sessionsOf(hubUrls())
  const client = rawClient(resume)
  const grown = async () => (await sessionsOf(hubUrls())).findIndex((count, index) => count > before[index]!)
  await expect.poll(grown, soon).toBeGreaterThanOrEqual(0)
  return [client, await grown()]
}

function rawClient(resume: ConstructorParameters<typeof RawClient>[1] = {}): RawClient {
  const client = new RawClient(socketUrl(), resume)
  onTestFinished(() => client.close())
  return client
}

/** As a deployment does it: ask to end, and wait for the next one. */
async function restart(pid: number): Promise<void> {
  process.kill(pid, 'SIGTERM')
  await expect.poll(() => isRunning(pid), soon).toBe(false)
  const areReady = async () => {
    const answers = hubUrls().map((url) =>
      fetch(`${url}/readyz`).then(
        ({ ok }) => ok,
        () => false,
      ),
    )
    return (await Promise.all(answers)).every(Boolean)
  }
  await expect.poll(areReady, soon).toBe(true)
}
