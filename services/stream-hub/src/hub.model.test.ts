import type { Update } from '@flasktoria/contracts/updates'
import type { Entry, LogFollower } from '@flasktoria/live-log/log'
import { createMemoryLog } from '@flasktoria/live-log/log-memory'
import * as fc from 'fast-check'
import assert from 'node:assert/strict'
import { test } from 'vitest'
import { createFilter, sees } from './subscription.ts'
import { Application, type Wish } from './test-application.ts'
import { anomaly, createTestHub, position, sensordata } from './test-hub.ts'

/** So small that every way of catching up is taken. */
const bounds = { ringLength: 6, maxEvents: 4 }
const maxRecent = 12

const vehicles = ['v0', 'v1', 'v2']
const wishes: Wish[] = [
  {},
  { kinds: ['position'] },
  { vehicles: ['v0'] },
  { kinds: ['sensordata', 'anomaly'], vehicles: ['v0', 'v1'], sensors: ['s0'] },
  { kinds: ['anomaly'] },
]

type Place = ReturnType<typeof createTestHub> & { follower: LogFollower | undefined }

/** Two hubs that follow one log, and four applications. */
class World {
  readonly #log = createMemoryLog({ maxRecent })
  readonly #places: Place[] = [0, 1].map(() => ({ ...createTestHub(bounds), follower: undefined }))
  readonly #anomalies: { vehicle: string; desc: string }[] = []
  readonly #applications: Application[]
  #appended = 0

  constructor() {
    const count = () => this.#anomalies.length
    this.#applications = wishes.slice(0, 4).map((wish, index) => new Application(index ? 'v2' : 'plain', wish, count))
  }

  async begin(): Promise<void> {
    for (const place of this.#places) await this.mend(place)
    for (const [index, application] of this.#applications.entries()) application.connect(this.place(index % 2).hub)
  }

  place = (index: number) => this.#places[index]!
  application = (index: number) => this.#applications[index]!

  async append(vehicle: string, kind: 'position' | 's0' | 's1' | 'anomaly', age: number): Promise<void> {
    const number = ++this.#appended
    if (kind === 'anomaly') this.#anomalies.push({ vehicle, desc: String(number) })
    await this.#log.append([
      kind === 'position'
        ? position(vehicle, number / 1_000, number - age)
        : kind === 'anomaly'
          ? anomaly(vehicle, String(number), number)
          : sensordata(vehicle, kind, number, number - age),
    ])
  }

  async cut(place: Place): Promise<void> {
    await place.follower?.close()
    place.follower = undefined
  }

  async mend(place: Place): Promise<void> {
    place.follower ??= await this.#log.follow(place.hub)
  }

  /** Everything works again, and nothing more happens. */
  async settle(): Promise<void> {
    for (const place of this.#places) await this.mend(place)
    for (const application of this.#applications) application.goOn()
    for (const place of this.#places) place.turn()
  }

  async check(): Promise<void> {
    let state: Entry[] = []
    await this.#log.follow({ onSnapshot: (snapshot) => (state = snapshot.state), onEntries: () => {} })
    const updates = state.map(({ json }) => JSON.parse(json) as Update)
    for (const [index, application] of this.#applications.entries()) {
      for (const update of updates)
        for (const known of application.knows(update))
          // A plain client gets no snapshot: it knows what came since.
          if (!application.isMuted(update) && (known || !application.isPlain)) assert.deepEqual(known, update)
      // A plain client can't be told of a gap, but somebody can read that there was one.
      if (application.isPlain && (await this.#plainGaps()) > 0) continue
      const filter = createFilter(wishes[index]!)
      for (const { vehicle, desc } of this.#anomalies.slice(application.excusedAnomalies))
        if (sees(filter, { kind: 'anomaly', vehicle, sensor: '' }))
          assert.ok(application.anomalies.has(desc), `missed: ${desc}`)
    }
  }

  async #plainGaps(): Promise<number> {
    const gaps = this.#places.map(({ metrics }) => metrics.registry.getSingleMetric('flasktoria_stream_gaps_total')!)
    const counts = (await Promise.all(gaps.map((gap) => gap.get()))).flatMap(({ values }) => values)
    return counts.reduce((sum, { labels, value }) => sum + (labels['protocol'] === 'plain' ? value : 0), 0)
  }
}

type Command = (world: World) => void | Promise<void>

const vehicle = fc.constantFrom(...vehicles)
const kind = fc.constantFrom('position', 's0', 's1', 'anomaly')
const hub = fc.nat(1)
const client = fc.nat(3)
const readable = (name: string, args: unknown[], command: Command): Command =>
  Object.assign(command, { [fc.toStringMethod]: () => `${name}(${args.join(', ')})` })
const command = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(vehicle, kind, fc.nat(2))
      .map((args) => readable('append', args, (world) => world.append(...args))),
  },
  { weight: 3, arbitrary: hub.map((at) => readable('turn', [at], (world) => world.place(at).turn())) },
  { weight: 1, arbitrary: hub.map((at) => readable('flush', [at], (world) => world.place(at).hub.flush())) },
  { weight: 1, arbitrary: hub.map((at) => readable('cut', [at], (world) => world.cut(world.place(at)))) },
  { weight: 1, arbitrary: hub.map((at) => readable('mend', [at], (world) => world.mend(world.place(at)))) },
  { weight: 2, arbitrary: client.map((who) => readable('stall', [who], (world) => world.application(who).stall())) },
  { weight: 2, arbitrary: client.map((who) => readable('goOn', [who], (world) => world.application(who).goOn())) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(client, hub)
      .map(([who, at]) =>
        readable('connect', [who, at], (world) => world.application(who).connect(world.place(at).hub)),
      ),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(client, fc.nat(4))
      .map(([who, wish]) =>
        readable('second', [who, wish], (world) => world.application(who).toggleSecond(wishes[wish]!)),
      ),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(client, vehicle, fc.boolean())
      .map(([who, of, isMuted]) =>
        readable('mute', [who, of, isMuted], (world) => world.application(who).mute(of, isMuted)),
      ),
  },
)

// oxlint-disable-next-line vitest/expect-expect -- `check` and the applications throw
test('whatever happens, every client ends with the picture of the log', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(command, { maxLength: 120, size: 'max' }), async (commands) => {
      const world = new World()
      await world.begin()
      for (const run of commands) await run(world)
      await world.settle()
      await world.check()
    }),
    { numRuns: 300 },
  )
}, 120_000)
