import { createMemoryLog } from '@flasktoria/live-log/log-memory'
import { expect, test } from 'vitest'
import { createTestHub, position, TestConnection } from './test-hub.ts'

async function follow() {
  const log = createMemoryLog()
  const parts = createTestHub()
  await log.follow(parts.hub)
  const connection = new TestConnection()
  const session = parts.hub.open(connection, 'v2', false)
  parts.hub.subscribe(session, { type: 'subscribe', id: 'a', kinds: ['position'] })
  /** One position, and all that a second brings. */
  const second = async (lat: number, answersPings: boolean) => {
    await log.append([position('v', lat)])
    parts.turn()
    parts.clock.nowMs += 1_000
    parts.hub.sweep()
    if (answersPings) parts.hub.hearPong(session)
    parts.turn()
  }
  const lats = () =>
    connection.messages.flatMap((message) =>
      message.type === 'updates' ? message.updates.map((update) => ('lat' in update ? update.lat : 0)) : [],
    )
  return { ...parts, log, connection, session, second, lats }
}

test('a session whose pong is overdue twice gets nothing until it comes, and then the latest', async () => {
  const { hub, turn, session, second, lats } = await follow()
  for (let lat = 1; lat <= 10; lat++) await second(lat, false)
  const before = lats()
  expect(session.isLagging).toBe(true)
  expect(before.length).toBeLessThan(6)
  hub.hearPong(session)
  turn()
  expect(lats()).toEqual([...before, 10])
  expect(session.slowedMs).toBe(0)
})

test('a hub that was slow itself takes nobody for slow', async () => {
  const { clock, hub, session, second } = await follow()
  for (let lat = 1; lat <= 2; lat++) await second(lat, false)
  expect(session.isPingOpen).toBe(true)
  clock.nowMs += 5_000
  hub.sweep()
  hub.hearPong(session)
  hub.sweep()
  expect(session.isLagging).toBe(false)
})

test('who falls behind again and again gets frames more seldom, and as often as before when it is well for long', async () => {
  const { hub, clock, session, second, connection } = await follow()
  for (let round = 0; round < 3; round++) {
    for (let lat = 1; lat <= 8; lat++) await second(lat, false)
    await second(9, true)
  }
  expect(session.slowedMs).toBe(500)
  hub.sayStats(session)
  expect(connection.messages.at(-1)).toMatchObject({ type: 'stats', maxRateHz: 2, isLagging: false })
  for (let lat = 1; lat <= 100; lat++) await second(lat, true)
  expect(session.slowedMs).toBe(0)
  expect(clock.nowMs).toBeGreaterThan(100_000)
})

test('who makes no progress for 30 seconds is closed with a code', async () => {
  const { connection, second } = await follow()
  for (let lat = 1; lat <= 40 && connection.closedWith === undefined; lat++) await second(lat, false)
  expect(connection.closedWith).toBe(4001)
})
