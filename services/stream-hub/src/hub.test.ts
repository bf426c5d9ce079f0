import type { ServerMessage, Subscribe } from '@flasktoria/contracts/stream'
import { createMemoryLog } from '@flasktoria/live-log/log-memory'
import { MuteRules, type MuteRule } from '@flasktoria/live-log/mutes'
import { describe, expect, test } from 'vitest'
import type { HubOptions } from './hub.ts'
import { drain } from './drain.ts'
import { anomaly, createTestHub, position, sensordata, TestConnection } from './test-hub.ts'

async function follow(options: Partial<HubOptions> = {}, log = createMemoryLog()) {
  const parts = createTestHub(options)
  const follower = await log.follow(parts.hub)
  const open = (connection = new TestConnection(), awaitsMutes = false) => {
    const session = parts.hub.open(connection, 'v2', awaitsMutes)
    const subscribe = (wish: Omit<Subscribe, 'type'>) => parts.hub.subscribe(session, { type: 'subscribe', ...wish })
    return { connection, session, subscribe }
  }
  const plain = (connection = new TestConnection(), awaitsMutes = false) => ({
    connection,
    session: parts.hub.open(connection, 'plain', awaitsMutes),
  })
  return { ...parts, log, follower, open, plain }
}

const types = ({ messages }: TestConnection) => messages.map(({ type }) => type)
const updatesOf = ({ messages }: TestConnection) =>
  messages.flatMap((message) => ('updates' in message ? message.updates : []))
const cursorsOf = ({ messages }: TestConnection) =>
  messages.flatMap((message) =>
    message.type === 'updates' ? [Number.parseInt(message.cursor.split('.')[1]!, 36)] : [],
  )
const rules = (...some: Partial<MuteRule>[]) =>
  new MuteRules(some.map((rule) => ({ kind: 'position', vehicle: 'v', sensor: '', isMuted: true, ...rule })))

test('when a box moves, what was in it and still is neither leaves nor comes again', async () => {
  const { hub, turn, log, open } = await follow()
  await log.append([position('south', 1), position('between', 2), position('north', 3), position('away', 9)])
  const { connection, session, subscribe } = open()
  subscribe({ id: 'map', bbox: [10, 0, 12, 2.5] })
  turn()
  connection.messages.length = 0
  // It moved since the last flush, so the client does not know it as it is now.
  await log.append([position('away', 2.8)])
  hub.update(session, { type: 'update', id: 'map', bbox: [10, 1.5, 12, 4] })
  turn()
  expect(connection.messages).toMatchObject([
    { type: 'ack', id: 'map' },
    { type: 'leave', id: 'map', vehicles: ['south'] },
    { type: 'snapshot', id: 'map', reason: 'entered', updates: [{ vehicle_id: 'north' }] },
    { type: 'snapshot', id: 'map', reason: 'entered', updates: [{ vehicle_id: 'away', lat: 2.8 }] },
  ])
})

describe('a new epoch', () => {
  test('gives every subscription a new snapshot behind a gap, and plain clients nothing', async () => {
    const { hub, turn, log, follower, open, plain } = await follow()
    await log.append([position('v', 1)])
    const [v2, old] = [open(), plain()]
    v2.subscribe({ id: 'a' })
    v2.subscribe({ id: 'b', kinds: ['position'] })
    turn()
    await follower.close()
    const other = createMemoryLog()
    await other.append([position('w', 2), anomaly('w', 'unseen')])
    await other.follow({
      onSnapshot: (one) => hub.onSnapshot({ ...one, reason: 'epoch' }),
      onEntries: (some) => hub.onEntries(some),
    })
    turn()
    expect(types(v2.connection).slice(-3)).toEqual(['gap', 'snapshot', 'snapshot'])
    expect(v2.connection.messages.slice(-2)).toMatchObject([
      { id: 'a', reason: 'epoch', updates: [{ vehicle_id: 'w' }] },
      { id: 'b', reason: 'epoch', updates: [{ vehicle_id: 'w' }] },
    ])
    await other.append([position('w', 3)])
    turn()
    expect(updatesOf(old.connection)).toMatchObject([{ vehicle_id: 'w', lat: 3 }])
  })
})

describe('a hole in the log', () => {
  test('is bridged from the state; lost anomalies are told of, with the time of the last one known', async () => {
    const log = createMemoryLog({ maxRecent: 2 })
    const { hub, turn, follower, open, plain } = await follow({}, log)
    const [v2, old] = [open(), plain()]
    v2.subscribe({ id: 'a' })
    turn()
    const knownTs = 1_764_000_000_000
    const since = knownTs - 15 * 60_000
    await log.append([anomaly('v', 'known', knownTs)])
    turn()
    await follower.close()
    await log.append([
      anomaly('v', 'lost'),
      position('v', 1),
      position('w', 1),
      position('v', 2),
      anomaly('v', 'found'),
    ])
    await log.follow(hub)
    turn()
    expect(v2.connection.messages.slice(-2)).toMatchObject([
      { type: 'gap', since, readFrom: `/api/anomalies?start_ts=${since}` },
      { type: 'updates', updates: [{ vehicle_id: 'w' }, { vehicle_id: 'v', lat: 2 }, { desc: 'found' }] },
    ])
    expect(updatesOf(old.connection)).toMatchObject([
      { desc: 'known' },
      { vehicle_id: 'w' },
      { lat: 2 },
      { desc: 'found' },
    ])
  })
})

describe('a subscription that resumes', () => {
  test('further back than another one: each gets what it misses, no anomaly comes twice', async () => {
    const { turn, log, open } = await follow()
    const first = open()
    first.subscribe({ id: 'all' })
    turn()
    await log.append([position('v', 1), anomaly('v', 'one'), sensordata('v', 's', 1)])
    turn()
    const start = (first.connection.messages[0] as Extract<ServerMessage, { type: 'hello' }>).cursor
    first.subscribe({ id: 'positions', kinds: ['position', 'anomaly'], cursor: start })
    turn()
    expect(updatesOf(first.connection).filter(({ update_type }) => update_type === 'anomaly')).toHaveLength(1)
    expect(updatesOf(first.connection).filter(({ update_type }) => update_type === 'position')).toHaveLength(2)
    expect(updatesOf(first.connection).filter(({ update_type }) => update_type === 'sensordata')).toHaveLength(1)
  })

  test('ahead of this hub waits until the log is there', async () => {
    const log = createMemoryLog()
    const [near, far] = [await follow({}, log), await follow({}, log)]
    await far.follower.close()
    await log.append([position('v', 1), position('v', 2)])
    const before = near.open()
    const { cursor } = before.connection.messages[0] as Extract<ServerMessage, { type: 'hello' }>
    const after = far.open()
    after.subscribe({ id: 'a', cursor })
    far.turn()
    expect(types(after.connection)).toEqual(['hello', 'ack'])
    await log.append([position('v', 3)])
    await log.follow(far.hub)
    far.turn()
    expect(updatesOf(after.connection)).toMatchObject([{ lat: 3 }])
  })

  test('ahead of the log for too long gets a snapshot', async () => {
    const { hub, clock, turn, log, open } = await follow()
    await log.append([position('v', 1)])
    const client = open()
    const { epoch } = client.connection.messages[0] as Extract<ServerMessage, { type: 'hello' }>
    client.subscribe({ id: 'a', kinds: ['position'], cursor: `${epoch}.zz` })
    client.subscribe({ id: 'b', kinds: ['sensordata'] })
    turn()
    await log.append([sensordata('v', 's', 1)])
    turn()
    expect(updatesOf(client.connection)).toEqual([])
    clock.nowMs += 2_000
    hub.sweep()
    turn()
    const snapshots = client.connection.messages.filter(({ type }) => type === 'snapshot')
    expect(snapshots).toMatchObject([
      { id: 'a', reason: 'cursor_unknown', updates: [{ lat: 1 }] },
      { id: 'b', reason: 'cursor_unknown', updates: [{ sensor_id: 's' }] },
    ])
    await log.append([position('v', 2)])
    turn()
    expect(updatesOf(client.connection).at(-1)).toMatchObject({ lat: 2 })
  })
})

test('a vehicle of which nothing came for long leaves every view that it was in, and comes back', async () => {
  const { hub, clock, turn, log, open } = await follow({ stateRetentionMs: 1_000 })
  const [all, other] = [open(), open()]
  all.subscribe({ id: 'all' })
  other.subscribe({ id: 'other', vehicles: ['w'] })
  turn()
  await log.append([position('v', 1), position('w', 1)])
  turn()
  clock.nowMs += 700
  await log.append([position('w', 2)])
  turn()
  clock.nowMs += 700
  hub.sweep()
  const leavesOf = ({ connection }: typeof all) => connection.messages.filter(({ type }) => type === 'leave')
  expect(leavesOf(all)).toMatchObject([{ id: 'all', vehicles: ['v'] }])
  expect(leavesOf(other)).toEqual([])
  await log.append([position('v', 3)])
  turn()
  expect(all.connection.messages.at(-1)).toMatchObject({ type: 'updates', updates: [{ vehicle_id: 'v', lat: 3 }] })
})

describe('a blocked connection', () => {
  test('gets one frame with the latest values when it goes on, and nothing is kept for it meanwhile', async () => {
    const { hub, turn, log, open } = await follow()
    const { connection, session, subscribe } = open()
    subscribe({ id: 'a' })
    turn()
    connection.stall()
    for (let lat = 0; lat < 50; lat++) {
      await log.append([position('v', lat), ...(lat % 10 === 0 ? [anomaly('v', String(lat))] : [])])
      turn()
    }
    const queued = connection.bufferedBytes
    expect(queued).toBeLessThan(1_000)
    connection.resume()
    hub.hearDrain(session)
    turn()
    const frames = connection.messages.filter(({ type }) => type === 'updates')
    expect(frames).toHaveLength(2)
    expect(frames[1]).toMatchObject({
      updates: [{ desc: '10' }, { desc: '20' }, { desc: '30' }, { desc: '40' }, { lat: 49 }],
    })
    expect(cursorsOf(connection)).toEqual(cursorsOf(connection).toSorted((a, b) => a - b))
  })

  test('is closed when it takes nothing for long, but not when it is merely slow', async () => {
    const { hub, clock, turn, log, open } = await follow()
    const [stuck, slow] = [open(), open()]
    for (const { connection, subscribe } of [stuck, slow]) {
      subscribe({ id: 'a' })
      connection.stall()
    }
    turn()
    await log.append([position('v', 1)])
    turn()
    for (let second = 0; second < 40; second += 10) {
      clock.nowMs += 10_000
      hub.hearDrain(slow.session)
      hub.hearPong(stuck.session)
      hub.sweep()
    }
    expect(stuck.connection.closedWith).toBe(4001)
    expect(slow.connection.closedWith).toBeUndefined()
  })

  test('is closed when its client asks on without reading the answers', async () => {
    const { hub, open } = await follow()
    const { connection, session } = open(new TestConnection(1_000))
    connection.stall()
    for (let count = 0; count < 100 && session.fastest.standing.at !== 'closed'; count++)
      hub.say(session, { type: 'pong' })
    expect(connection.closedWith).toBe(4001)
  })

  test('in the middle of a snapshot goes on where it stopped, with what is current then', async () => {
    const { hub, turn, log, open } = await follow()
    await log.append(Array.from({ length: 3_000 }, (_, index) => position(`v${index}`, 1)))
    const { connection, session, subscribe } = open()
    subscribe({ id: 'a' })
    connection.stall()
    hub.say(session, { type: 'pong' })
    turn()
    connection.resume()
    connection.stall()
    hub.hearDrain(session)
    for (let round = 2; round < 10; round++) {
      turn()
      await log.append([position('v0', round), position('v2999', round)])
      connection.resume()
      connection.stall()
      hub.hearDrain(session)
    }
    turn()
    connection.resume()
    hub.hearDrain(session)
    turn()
    const parts = connection.messages.filter((message) => message.type === 'snapshot')
    expect(parts.map(({ part }) => part)).toEqual(parts.keys().toArray())
    expect(parts.map(({ more }) => more)).toEqual(parts.map((_, index) => index < parts.length - 1))
    const seen = new Map(updatesOf(connection).map((update) => [update.vehicle_id, update]))
    expect(seen.size).toBe(3_000)
    expect(seen.get('v0')).toMatchObject({ lat: 9 })
    expect(seen.get('v2999')).toMatchObject({ lat: 9 })
  })
})

describe('a connection that blocks again and again while it catches up', () => {
  test('gets everything that it missed, frame by frame, and each frame says how far it reaches', async () => {
    const { hub, turn, log, open } = await follow()
    const { connection, session, subscribe } = open()
    subscribe({ id: 'a' })
    turn()
    connection.stall()
    const fleet = (lat: number) => Array.from({ length: 3_000 }, (_, index) => position(`v${index}`, lat))
    await log.append([anomaly('v', 'first'), position('v', 1)])
    turn()
    await log.append([...fleet(1), anomaly('v', 'second'), ...fleet(2)])
    turn()
    // Its frames so far, and the changes between them: the picture at every cursor.
    for (let round = 0; round < 20; round++) {
      connection.resume()
      connection.stall()
      hub.hearDrain(session)
      turn()
    }
    expect(session.fastest.standing.at).toBe('live')
    const frames = connection.messages.filter((message) => message.type === 'updates')
    expect(frames.length).toBeGreaterThan(3)
    expect(updatesOf(connection).flatMap((update) => ('desc' in update ? [update.desc] : []))).toEqual([
      'first',
      'second',
    ])
    expect(updatesOf(connection)).toHaveLength(3_003)

    const resumed = open()
    resumed.subscribe({ id: 'a', cursor: frames[2]!.cursor })
    turn()
    const rest = frames.slice(3).flatMap(({ updates }) => updates)
    expect(updatesOf(resumed.connection)).toEqual(rest)
  })
})

describe('mutes', () => {
  test('hold back everything until they are known', async () => {
    const { hub, turn, log, plain } = await follow()
    const { connection, session } = plain(new TestConnection(), true)
    await log.append([position('v', 1), position('w', 1)])
    turn()
    expect(connection.messages).toEqual([])
    hub.setMutes(session, rules({}))
    turn()
    expect(updatesOf(connection)).toMatchObject([{ vehicle_id: 'w' }])
  })

  test('that change twice while the connection is blocked: all that was hidden comes once it goes on', async () => {
    const { hub, turn, log, plain } = await follow()
    const { connection, session } = plain(new TestConnection(), true)
    hub.setMutes(session, rules({ vehicle: 'v' }, { vehicle: 'w' }))
    turn()
    await log.append([position('v', 1), position('w', 1), position('x', 1)])
    turn()
    connection.stall()
    await log.append([position('x', 2)])
    turn()
    hub.setMutes(session, rules({ vehicle: 'w' }))
    hub.setMutes(session, rules({ vehicle: 'v' }))
    hub.setMutes(session, rules())
    connection.resume()
    hub.hearDrain(session)
    turn()
    const seen = new Map(updatesOf(connection).map((update) => [update.vehicle_id, update]))
    expect(seen.get('v')).toMatchObject({ lat: 1 })
    expect(seen.get('w')).toMatchObject({ lat: 1 })
  })

  test('taken back while their client is away: what they hid comes when it resumes', async () => {
    const { hub, turn, log, open } = await follow()
    const before = open(new TestConnection(), true)
    hub.setMutes(before.session, rules({ vehicle: 'v' }))
    before.subscribe({ id: 'a' })
    turn()
    await log.append([position('v', 1), position('w', 1)])
    turn()
    const last = before.connection.messages.findLast((message) => message.type === 'updates')!
    expect(last.updates).toMatchObject([{ vehicle_id: 'w' }])
    hub.hearClose(before.session, 1006)
    const after = open(new TestConnection(), true)
    after.subscribe({ id: 'a', cursor: last.cursor })
    hub.setMutes(after.session, rules())
    turn()
    expect(updatesOf(after.connection)).toMatchObject([{ vehicle_id: 'v' }, { vehicle_id: 'w' }])
  })

  test('keep clients with equal ones in one group', async () => {
    const { hub, turn, plain } = await follow()
    for (let index = 0; index < 3; index++) hub.setMutes(plain(new TestConnection(), true).session, rules({}))
    plain()
    turn()
    expect(hub.figures()).toMatchObject({ groups: 2, sessions: { plain: 4, v2: 0 } })
  })
})

describe('the hub', () => {
  test('pings every connection, and closes those from which nothing came for long', async () => {
    const { hub, clock, turn, open } = await follow()
    const [alive, dead] = [open(), open()]
    turn()
    for (let seconds = 0; seconds < 80; seconds += 5) {
      clock.nowMs += 5_000
      hub.sweep()
      hub.hearPong(alive.session)
    }
    expect(alive.connection).toMatchObject({ pings: 3, closedWith: undefined })
    expect(dead.connection.closedWith).toBe(4001)
    expect(hub.sessions.size).toBe(1)
  })

  test('sends many clients away one after the other, each with its own time to come back', async () => {
    const { hub, open } = await follow()
    const clients = Array.from({ length: 200 }, () => open())
    await drain(hub, 40, Math.random)
    expect(hub.sessions.size).toBe(0)
    const times = clients.map(({ connection }) => connection.messages.find(({ type }) => type === 'bye'))
    expect(new Set(times.map((bye) => JSON.stringify(bye))).size).toBeGreaterThan(10)
    expect(clients.every(({ connection }) => connection.closedWith === 4000)).toBe(true)
  })

  test('tells each client of what it forgot when more comes at once than it can remember', async () => {
    const { turn, log, open } = await follow({ ringLength: 4, maxEvents: 10 })
    const client = open()
    client.subscribe({ id: 'a' })
    turn()
    await log.append([anomaly('v', 'known')])
    turn()
    await log.append(Array.from({ length: 50 }, (_, index) => anomaly('v', String(index))))
    turn()
    expect(types(client.connection).slice(-2)).toEqual(['gap', 'updates'])
  })
})
