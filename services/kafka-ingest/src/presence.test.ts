import { createMemoryLog } from '@flasktoria/live-log/log-memory'
import type { Draft, Entry, LogFollower } from '@flasktoria/live-log/log'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Presence, type PresenceLimits } from './presence.ts'
import { draftOf } from './vehicle-watch.ts'

const limits: PresenceLimits = {
  staleMinMs: 15_000,
  staleMaxMs: 300_000,
  offlineMinMs: 60_000,
  offlineMaxMs: 1_800_000,
}
const second = 1_000
const minute = 60 * second

/** A fleet, its log, and somebody who watches, all by one clock. */
async function createWorld(start = Date.UTC(2026, 10, 24)) {
  let now = start
  const log = createMemoryLog({ now: () => now, retentionMs: 7 * 86_400_000, recentMs: 7 * 86_400_000 })
  const said: string[] = []
  await log.follow({
    onSnapshot: () => {},
    onEntries: (entries) => {
      for (const { kind, json } of entries) if (kind === 'vehiclestatus') said.push(sayingOf(json))
    },
  })
  let presence: Presence
  let follower: LogFollower | undefined
  const send = async () => {
    const changes = presence.takeChanges()
    if (changes.length > 0) await log.append(changes.map(draftOf))
  }
  const world = {
    said,
    report: async (vehicle = 'v', kind: 'position' | 'sensordata' = 'position', eventTs = now) => {
      await log.append([{ kind, vehicle, sensor: kind === 'position' ? '' : 's', eventTs, json: '{}' }])
      await send()
    },
    /** Time passes, and somebody watches. */
    pass: async (ms: number) => {
      for (const end = now + ms; now < end;) {
        now = Math.min(now + second, end)
        presence.advance(now)
        await send()
      }
    },
    /** Time passes while the log is away. */
    passUnheard: (ms: number) => {
      now += ms
      presence.advance(undefined)
    },
    /** Somebody else watches from now on; `pauseMs` later than the one before stopped. */
    takeOver: async (pauseMs = 0) => {
      await follower?.close()
      now += pauseMs
      presence = new Presence(limits)
      follower = await log.follow(presence)
      presence.advance(now)
      await send()
    },
    every: async (ms: number, times: number, vehicle = 'v') => {
      for (let time = 0; time < times; time++) {
        await world.report(vehicle)
        await world.pass(ms)
      }
    },
    append: (drafts: readonly Draft[]) => log.append(drafts),
    count: () => presence.count(),
    silently: async (work: () => Promise<void>) => {
      const before = said.length
      await work()
      return said.slice(before)
    },
  }
  await world.takeOver()
  return world
}

const position = (seq: number, vehicle: string, appendedAt = 5_000): Entry => ({
  seq,
  kind: 'position',
  vehicle,
  sensor: '',
  eventTs: 1,
  appendedAt,
  isLate: false,
  json: '{}',
})

const sayingOf = (json: string): string => {
  const { vehicle_id: vehicle, value } = JSON.parse(json) as { vehicle_id: string; value: string }
  return `${vehicle} ${value}`
}

test('a vehicle is online with its first report; one that reports every second is stale after the least silence', async () => {
  const { said, every, pass, count } = await createWorld()
  await every(second, 120)
  expect(said).toEqual(['v online'])
  await pass(limits.staleMinMs - 2 * second)
  expect(said).toEqual(['v online'])
  await pass(3 * second)
  expect(said).toEqual(['v online', 'v stale'])
  await pass(limits.offlineMinMs - limits.staleMinMs)
  expect(said).toEqual(['v online', 'v stale', 'v offline'])
  expect(count()).toEqual({ online: 0, stale: 0, offline: 1 })
})

test.each([20, 60, 90])('one that reports every %i s is not stale in between', async (everySeconds) => {
  const { said, every, pass } = await createWorld()
  await every(everySeconds * second, 20)
  expect(said).toEqual(['v online'])
  await pass(2.5 * everySeconds * second)
  expect(said).toEqual(['v online', 'v stale'])
})

test('many records in one second and then none for a minute are a report a minute', async () => {
  const { said, report, pass } = await createWorld()
  for (let time = 0; time < 10; time++) {
    for (let record = 0; record < 30; record++) {
      await report('v', record % 2 === 0 ? 'position' : 'sensordata')
      await pass(record % 10 === 0 ? second / 4 : 0)
    }
    await pass(minute)
  }
  expect(said).toEqual(['v online'])
})

test('of one that is new nothing is known, so it is given all the time there is', async () => {
  const { said, report, pass } = await createWorld()
  await report()
  await pass(limits.staleMaxMs - second)
  expect(said).toEqual(['v online'])
  await pass(2 * second)
  expect(said).toEqual(['v online', 'v stale'])
  await pass(limits.offlineMaxMs - limits.staleMaxMs)
  expect(said).toEqual(['v online', 'v stale', 'v offline'])
})

test('one that reports more rarely from now on is understood after a few times', async () => {
  const { every, silently } = await createWorld()
  await every(second, 60)
  await every(4 * minute, 3)
  expect(await silently(() => every(4 * minute, 10))).toEqual([])
})

test('a late reading is a report, an anomaly is none', async () => {
  const { said, every, pass, report, append } = await createWorld()
  await every(second, 120)
  await pass(30 * second)
  await append([{ kind: 'anomaly', vehicle: 'v', sensor: '', eventTs: 1, json: '{}', id: '1' }])
  await pass(second)
  expect(said).toEqual(['v online', 'v stale'])
  await report('v', 'sensordata')
  await pass(minute)
  await report('v', 'sensordata', 1)
  expect(said).toEqual(['v online', 'v stale', 'v online', 'v stale', 'v online'])
})

test('a feed that is silent while the log lives takes all vehicles with it', async () => {
  const { said, every, report, pass } = await createWorld()
  for (let time = 0; time < 120; time++) {
    await report('w')
    await every(second, 1)
  }
  await pass(2 * minute)
  expect(said.toSorted()).toEqual(['v offline', 'v online', 'v stale', 'w offline', 'w online', 'w stale'])
})

test('while the log is away no vehicle gets worse, nor for what could not be heard meanwhile', async () => {
  const { said, every, passUnheard, pass } = await createWorld()
  await every(second, 120)
  passUnheard(24 * 60 * minute)
  await pass(limits.staleMinMs - 2 * second)
  expect(said).toEqual(['v online'])
  await pass(3 * second)
  expect(said).toEqual(['v online', 'v stale'])
})

test('who takes over knows what the one before knew, and says nothing', async () => {
  const { silently, every, takeOver, pass, report } = await createWorld()
  for (let time = 0; time < 120; time++) {
    if (time === 0) await report('gone')
    if (time < 70) await report('quiet')
    if (time % 40 === 0) await report('rare')
    await every(second, 1)
  }
  expect(await silently(() => takeOver(4 * second))).toEqual([])
  expect(await silently(() => pass(second))).toEqual([])
  expect(await silently(() => pass(20 * second))).toEqual(['v stale'])
  expect(await silently(() => pass(minute))).toEqual(['v offline', 'quiet offline'])
})

test('after everything was down for hours nobody is offline for that; who does not come back is', async () => {
  const { silently, every, report, takeOver, pass } = await createWorld()
  for (let time = 0; time < 120; time++) {
    await report('back')
    await every(second, 1)
  }
  expect(await silently(() => takeOver(5 * 60 * minute))).toEqual([])
  const returned = silently(async () => {
    for (let time = 0; time < 120; time++) {
      await report('back')
      await pass(second)
    }
  })
  expect(await returned).toEqual(['v stale', 'v offline'])
})

test('a vehicle in the state of which nobody said anything gets a status from how long ago it was heard', async () => {
  const start = Date.UTC(2026, 10, 24)
  const presence = new Presence(limits)
  const state = [
    position(1, 'unknown', 0),
    position(2, 'gone', start - 40 * minute),
    position(3, 'quiet', start - 9 * minute),
    position(4, 'here', start),
  ]
  presence.onSnapshot({ epoch: 'e', head: 4, state, recent: state.slice(-1), reason: 'start' })
  const changes = presence.takeChanges().map(({ id, status }) => `${id} ${status}`)
  expect(changes).toEqual(['unknown online', 'gone offline', 'quiet stale', 'here online'])
})

test('who was silent before and reported behind the last word of the log is online with who takes over', async () => {
  const { silently, said, every, takeOver, pass, append } = await createWorld()
  await every(second, 120)
  await pass(2 * minute)
  expect(said.at(-1)).toBe('v offline')
  expect(await silently(() => takeOver(3 * second))).toEqual([])
  // Heard, but not said any more.
  await append([{ kind: 'position', vehicle: 'v', sensor: '', eventTs: Date.UTC(2030, 0), json: '{}' }])
  expect(await silently(() => takeOver(3 * second))).toEqual(['v online'])
})

test('a log that lost its memory is told again who is there, of those that it still knows', async () => {
  const presence = new Presence(limits)
  const both = [position(1, 'v'), position(2, 'w')]
  presence.onSnapshot({ epoch: 'a', head: 2, state: both, recent: both, reason: 'start' })
  expect(presence.takeChanges()).toHaveLength(2)
  presence.onSnapshot({ epoch: 'b', head: 1, state: [position(1, 'v')], recent: [position(1, 'v')], reason: 'epoch' })
  expect(presence.takeChanges().map(({ id, status }) => [id, status])).toEqual([['v', 'online']])
  expect(presence.count()).toEqual({ online: 1, stale: 0, offline: 0 })
})

const narrow: PresenceLimits = { staleMinMs: 15_000, staleMaxMs: 15_000, offlineMinMs: 60_000, offlineMaxMs: 60_000 }
const staleAfter = (presence: Presence, from: number, to: number) => {
  for (let at = from; at <= to; at += second) presence.advance(at)
  return presence.takeChanges().map(({ id, status }) => `${id} ${status}`)
}

test.each([
  ['gap', 'e', position(5, 'v'), ['w stale']],
  ['epoch', 'f', position(1, 'v'), []],
] as const)('after a snapshot for a %s, who may have been heard meanwhile was heard', (reason, epoch, heard, stale) => {
  const presence = new Presence(narrow)
  const state = [position(1, 'v'), position(2, 'w')]
  presence.onSnapshot({ epoch: 'e', head: 2, state, recent: [], reason: 'start' })
  expect(staleAfter(presence, 0, 10_000)).toEqual(['v online', 'w online'])
  const status = (seq: number, vehicle: string): Entry => ({
    ...position(seq, vehicle),
    kind: 'vehiclestatus',
    json: '{"value":"online"}',
  })
  const said = [status(3, 'v'), status(4, 'w')]
  presence.onSnapshot({ epoch, head: 5, state: [position(2, 'w'), heard, ...said], recent: [], reason })
  expect(staleAfter(presence, 11_000, 18_000)).toEqual(stale)
})

test('a turn that comes late counts as little more than one: what was sent meanwhile may still be on its way', () => {
  const presence = new Presence(narrow)
  presence.onSnapshot({ epoch: 'e', head: 1, state: [position(1, 'v')], recent: [], reason: 'start' })
  expect(staleAfter(presence, 0, 10_000)).toEqual(['v online'])
  expect(staleAfter(presence, 100_000, 102_000)).toEqual([])
  expect(staleAfter(presence, 103_000, 104_000)).toEqual(['v stale'])
})

test('somebody who says something else in the log is contradicted, and what is no status is none', async () => {
  const { said, every, append, report } = await createWorld()
  await every(second, 10)
  for (const status of ['offline', 'nonsense']) {
    await append([draftOf({ id: 'v', status: status as 'offline', heardAt: 0, silenceMs: 0, basisMs: 0 })])
    await report('w')
  }
  expect(said).toEqual(['v online', 'v offline', 'v online', 'w online', 'v nonsense', 'v online'])
})

test('a vehicle that has been offline for longer than the log remembers is forgotten', async () => {
  const presence = new Presence({ staleMinMs: 1_000, staleMaxMs: 1_000, offlineMinMs: 1_000, offlineMaxMs: 1_000 })
  presence.onSnapshot({ epoch: 'a', head: 1, state: [position(1, 'v')], recent: [], reason: 'start' })
  for (let time = 0; time <= 86_400_000; time += 2_000) presence.advance(time)
  expect(presence.count().offline).toBe(1)
  presence.advance(86_402_000)
  presence.advance(86_404_000)
  expect(presence.count().offline).toBe(0)
})

type Happening = { what: 'report'; vehicle: string } | { what: 'pass' | 'passUnheard' | 'takeOver'; ms: number }

/** What may happen, with how long it takes. */
const happening: fc.Arbitrary<Happening> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ what: fc.constant('report' as const), vehicle: fc.constantFrom('a', 'b', 'c') }),
  },
  { weight: 6, arbitrary: fc.record({ what: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 200_000 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({ what: fc.constant('passUnheard' as const), ms: fc.integer({ min: 1, max: 1e8 }) }),
  },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('takeOver' as const), ms: fc.integer({ min: 0, max: 1e8 }) }) },
)

/** What is wrong with what was said while all this happened; undefined: nothing. */
async function firstLie(happenings: readonly Happening[]): Promise<string | undefined> {
  const { said, report, pass, passUnheard, takeOver } = await createWorld()
  /** How long each was silent while somebody listened, and what was said of it last. */
  const silent = new Map<string, number>()
  const last = new Map<string, string>()
  const silentFor = (ms: number) => {
    for (const [id, before] of silent) silent.set(id, before + ms)
  }
  for (const happens of happenings) {
    const before = said.length
    if (happens.what === 'report') await report(happens.vehicle).then(() => silent.set(happens.vehicle, 0))
    if (happens.what === 'pass') await pass(happens.ms).then(() => silentFor(happens.ms))
    if (happens.what === 'passUnheard') passUnheard(happens.ms)
    if (happens.what === 'takeOver') await takeOver(happens.ms).then(() => silentFor(-Infinity))
    for (const [id, ms] of silent) silent.set(id, Math.max(ms, 0))

    for (const saying of said.slice(before)) {
      const [id, status] = saying.split(' ') as [string, string]
      const least = status === 'online' ? 0 : status === 'stale' ? limits.staleMinMs : limits.offlineMinMs
      if (status === last.get(id)) return `${saying}, twice`
      if (status === 'online' && !(happens.what === 'report' && happens.vehicle === id))
        return `${saying}, without a report`
      if (silent.get(id)! < least) return `${saying}, after ${silent.get(id)} ms`
      last.set(id, status)
    }
    for (const [id, ms] of silent) {
      // After each outage the first second is lost.
      const isLong = ms > limits.offlineMaxMs + minute
      if (isLong && last.get(id) !== 'offline') return `${id} ${last.get(id)}, though silent for ${ms} ms`
    }
    if (happens.what === 'report' && last.get(happens.vehicle) !== 'online')
      return `${happens.vehicle} reported in vain`
  }
  return undefined
}

test('whatever happens: worse only by silence that was heard, better only by a report, and nothing said twice', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(happening, { maxLength: 60 }), async (happenings) => {
      expect(await firstLie(happenings)).toBeUndefined()
    }),
    { numRuns: 200 },
  )
})
