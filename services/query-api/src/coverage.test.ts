import type { Feed } from '@flasktoria/live-log/feed'
import { formatCursor } from '@flasktoria/live-log/cursor'
import type { Draft, Entry, LogFollower, Snapshot } from '@flasktoria/live-log/log'
import { createMemoryLog } from '@flasktoria/live-log/log-memory'
import type { Period } from '@flasktoria/warehouse/queries'
import * as fc from 'fast-check'
import { expect, test, vi } from 'vitest'
import { coverageOf, handoverOf } from './coverage.ts'
import { RecentWindow } from './recent-window.ts'
import { mergeSeries, Series } from './series.ts'
import { Watermark } from './watermark.ts'

vi.setConfig({ testTimeout: 60_000 })

const second = 1_000
const begin = 1_795_500_000_000
const retentionMs = 60 * second
const lag = (warehouseLagMs: number | null): Omit<Feed, 'instance'> => ({
  kafkaLagRecords: null,
  kafkaLagMs: null,
  newestEventTs: null,
  warehouseLagMs,
})

/** A record as it was appended: when it came, and where in which log. */
type Arrived = { ts: number; value: number; at: number; epoch: string; seq: number }

const draft = ({ ts, value }: { ts: number; value: number }): Draft => ({
  kind: 'sensordata',
  vehicle: 'v',
  sensor: 's',
  eventTs: ts,
  json: JSON.stringify({ values: [{ timestamp: ts, value }] }),
})

/** A log, a history writer and a query-api, whose times and troubles the test decides. */
class World {
  now = begin
  readonly arrived: Arrived[] = []
  readonly stored: Arrived[] = []
  #waiting: Arrived[] = []
  #log = this.#openLog()
  #follower: LogFollower | undefined
  #isAway = false
  #epoch = ''
  #seq = 0
  readonly #maxReadings: number
  watermark = new Watermark(() => this.now)
  window: RecentWindow

  constructor(maxReadings: number) {
    this.#maxReadings = maxReadings
    this.window = this.#openWindow()
  }

  #openLog() {
    return createMemoryLog({ recentMs: 40 * second, maxRecent: 20, now: () => this.now })
  }
  #openWindow() {
    return new RecentWindow({ retentionMs, maxReadings: this.#maxReadings, maxAnomalies: 10 }, () => this.now)
  }

  async follow(reason: Snapshot['reason'] = 'start') {
    await this.#follower?.close()
    this.#isAway = false
    const { window } = this
    this.#follower = await this.#log.follow({
      onSnapshot: (snapshot) => {
        this.#epoch = snapshot.epoch
        this.#seq = snapshot.head
        window.onSnapshot({ ...snapshot, reason })
      },
      onEntries: (entries: readonly Entry[]) => {
        this.#seq = entries.at(-1)!.seq
        if (!this.#isAway) window.onEntries(entries)
      },
    })
    window.onConnected(true)
  }

  async arrive(records: readonly { ts: number; value: number }[]) {
    const seq = this.#seq
    await this.#log.append(records.map(draft))
    const arrived = records.map((record, index) => ({
      ...record,
      at: this.now,
      epoch: this.#epoch,
      seq: seq + 1 + index,
    }))
    this.arrived.push(...arrived)
    this.#waiting.push(...arrived)
  }
  store() {
    this.stored.push(...this.#waiting)
    this.#waiting = []
  }
  report() {
    const [oldest] = this.#waiting
    const warehouseLagMs = oldest ? this.now - oldest.at : 0
    this.watermark.hear([{ ...lag(warehouseLagMs), instance: 'i', reportedAt: this.now }])
  }
  async catchUp() {
    if (this.#isAway) await this.follow('gap')
    this.store()
    this.now += 5 * second
    this.report()
  }
  goAway() {
    this.#isAway = true
    this.window.onConnected(false)
  }
  async restartLog() {
    await this.#follower?.close()
    this.#log = this.#openLog()
    await this.follow('epoch')
  }
  async restartQueryApi() {
    this.window = this.#openWindow()
    this.watermark = new Watermark(() => this.now)
    this.report()
    await this.follow()
  }

  ask(from: number, to: number) {
    const recent = this.window.readings('v', 's', { from, to })
    const coverage = coverageOf({ from, to }, this, 'readings')
    return { answer: mergeSeries(this.#history({ from, to }), recent).timestamps, coverage }
  }
  /** What sums are made of. */
  askApart(from: number, to: number) {
    const { past, recent, coverage } = handoverOf(
      { from, to },
      this,
      'readings',
      this.now,
      (late) => this.window.readings('v', 's', late).length > 0,
    )
    const newest = this.window.readings('v', 's', recent)
    return { answer: [...newest.timestamps, ...this.#history(past).timestamps], coverage }
  }
  #history({ from, to }: Period) {
    const past = new Series()
    for (const { ts, value } of this.stored) if (ts >= from && ts <= to) past.push(ts, value)
    return past.newestFirst()
  }
}

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ arrive: fc.array(fc.integer({ min: 0, max: 90 }), { maxLength: 6 }) }) },
  { weight: 6, arbitrary: fc.record({ wait: fc.integer({ min: 1, max: 15 }) }) },
  { weight: 4, arbitrary: fc.constantFrom('store', 'report', 'catchUp' as const) },
  { weight: 1, arbitrary: fc.constantFrom('away', 'back', 'restartLog', 'restartQueryApi', 'sendAgain' as const) },
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

async function take(world: World, one: Step): Promise<void> {
  if (typeof one === 'object' && 'wait' in one) world.now += one.wait * second
  else if (typeof one === 'object')
    await world.arrive(one.arrive.map((age, index) => ({ ts: world.now - age * second, value: index })))
  else if (one === 'store') world.store()
  else if (one === 'report') world.report()
  else if (one === 'catchUp') await world.catchUp()
  else if (one === 'away') world.goAway()
  else if (one === 'back') await world.follow('gap')
  else if (one === 'restartLog') await world.restartLog()
  else if (one === 'restartQueryApi') await world.restartQueryApi()
  else if (one === 'sendAgain') await world.arrive(world.arrived.slice(-2))
}

test.each(['ask', 'askApart'] as const)(
  'history and window (%s) have everything up to the cursor, each time once, but what arrived when they say',
  async (way) => {
    let [complete, asked] = [0, 0]
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.constantFrom(8, 1_000), async (steps, maxReadings) => {
        const world = new World(maxReadings)
        await world.follow()
        for (const one of steps) {
          await take(world, one)
          const [from, to] = [world.now - 80 * second, world.now]
          const { answer, coverage } = world[way](from, to)
          const answered = new Set(answer)
          expect(answer).toEqual([...answered].toSorted((a, b) => b - a))
          const { cursor, mayLack } = coverage
          const isBehindCursor = ({ epoch, seq }: Arrived) =>
            cursor !== null && epoch === cursor.split('.')[0] && seq > Number.parseInt(cursor.split('.')[1]!, 36)
          for (const record of world.arrived) {
            if (record.ts < from || record.ts > to || answered.has(record.ts) || isBehindCursor(record)) continue
            const isSaid = mayLack.some((lack) => record.at >= lack.from && record.at <= lack.to)
            expect({ ...record, isSaid }).toEqual({ ...record, isSaid: true })
          }
          asked++
          if (mayLack.length === 0) complete++
        }
      }),
      { numRuns: 400 },
    )
    expect(complete / asked).toBeGreaterThan(0.02)
  },
)

async function quietWorld() {
  const world = new World(1_000)
  await world.follow()
  return world
}

test('nothing is missing once the history has what came before this server listened', async () => {
  const world = await quietWorld()
  await world.arrive([{ ts: world.now, value: 1 }])
  expect(world.ask(begin - 50 * second, world.now).coverage).toMatchObject({
    history: null,
    mayLack: [{ from: begin - 50 * second, to: begin, reason: 'before_start' }],
  })
  world.now += 15 * second
  world.store()
  world.report()
  const { coverage } = world.ask(begin - 20 * second, world.now)
  expect(coverage).toEqual({
    history: { from: begin - 20 * second, to: world.now - 10 * second },
    recent: { from: begin, to: world.now },
    mayLack: [],
    cursor: formatCursor(world.window.cursor!),
  })
})

test('a history that falls behind the window lacks what is in neither', async () => {
  const world = await quietWorld()
  world.now += 15 * second
  await world.arrive([{ ts: world.now, value: 1 }])
  world.report()
  world.now += 100 * second
  expect(world.ask(begin, world.now).coverage).toMatchObject({
    history: { from: begin, to: begin + 5 * second },
    recent: { from: begin + 55 * second, to: world.now },
    mayLack: [{ from: begin + 5 * second, to: begin + 55 * second, reason: 'before_window' }],
  })
})

test('a log that is away, or was away for too long, is said; one that heals leaves nothing behind', async () => {
  const world = await quietWorld()
  world.now += 30 * second
  world.report()
  world.goAway()
  world.now += 5 * second
  const away = world.ask(world.now - 10 * second, world.now).coverage
  expect(away.mayLack).toEqual([{ from: world.now - 10 * second, to: world.now, reason: 'log_away' }])
  await world.follow('gap')
  expect(world.ask(world.now - 10 * second, world.now).coverage.mayLack).toEqual([])
  world.goAway()
  for (let index = 0; index < 25; index++) await world.arrive([{ ts: world.now + index, value: index }])
  await world.follow('gap')
  expect(world.ask(world.now, world.now).coverage.mayLack).toEqual([
    { from: world.now, to: world.now, reason: 'log_gap' },
  ])
})

test('an answer that sums up goes over to the window where that is whole, and says what the history may lack before', async () => {
  const world = await quietWorld()
  world.now += 100 * second
  world.store()
  world.report()
  const at = world.now - retentionMs + 10 * second
  const [from, to] = [begin, world.now]
  expect(world.askApart(from, to).coverage).toMatchObject({
    history: { from, to: at - 1 },
    recent: { from: at, to },
    mayLack: [],
  })
  await world.arrive([{ ts: at, value: 1 }])
  expect(world.askApart(from, to)).toMatchObject({ answer: [at], coverage: { mayLack: [] } })
  await world.arrive([{ ts: at - 1, value: 1 }])
  expect(world.askApart(from, to)).toMatchObject({
    answer: [at],
    coverage: { mayLack: [{ from: world.watermark.completeTo(), to: world.now, reason: 'not_in_history' }] },
  })
  world.store()
  expect(world.askApart(from, to).answer).toEqual([at, at - 1])
})

test('the window says when it was too full', async () => {
  const world = new World(8)
  await world.follow()
  world.now += 30 * second
  world.report()
  await world.arrive(Array.from({ length: 9 }, (_, index) => ({ ts: world.now - index, value: index })))
  const { coverage } = world.ask(world.now - 40 * second, world.now)
  expect(coverage.mayLack).toEqual([{ from: world.now - 10 * second, to: world.now, reason: 'crowded_out' }])
})

test('the slowest writer counts, one that ended does not, and one that died only until another one has its share', () => {
  let now = begin
  const watermark = new Watermark(() => now)
  const hear = (instance: string, warehouseLagMs: number | null) =>
    watermark.hear([{ ...lag(warehouseLagMs), instance, reportedAt: now }])
  expect(watermark.completeTo()).toBe(-Infinity)
  hear('a', 20 * second)
  hear('b', 0)
  expect(watermark.completeTo()).toBe(begin - 30 * second)
  hear('a', null)
  hear('b', 5 * second)
  expect(watermark.completeTo()).toBe(begin - 15 * second)
  now += 59 * second
  hear('c', 0)
  expect(watermark.completeTo()).toBe(begin - 15 * second)
  now += 2 * second
  hear('c', 0)
  expect(watermark.completeTo()).toBe(now - 10 * second)
  hear('c', null)
  now += 1_000 * second
  hear('nobody', null)
  expect(watermark.completeTo()).toBe(begin + 51 * second)
})

test('where others fill the tables, the time that this takes them counts', () => {
  const watermark = new Watermark(() => begin, { delayMs: 300 * second })
  watermark.hear([{ ...lag(0), instance: 'a', reportedAt: begin }])
  expect(watermark.completeTo()).toBe(begin - 300 * second)
})
