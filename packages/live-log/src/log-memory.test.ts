import { expect, test } from 'vitest'
import { createMemoryLog } from './log-memory.ts'
import { Picture, anomaly, logConformance, reading, vehicleStatus } from './log.conformance.ts'

logConformance(async () => {
  const log = createMemoryLog()
  return { first: log, second: log }
})

test('what is remembered is bounded by age and by number', async () => {
  let now = 0
  const log = createMemoryLog({ recentMs: 1_000, maxRecent: 3, now: () => now })
  const remembered = async () => {
    const picture = new Picture()
    await (await log.follow(picture)).close()
    return picture.entries.map(({ seq }) => seq)
  }
  await log.append([reading(1), reading(2), reading(3), reading(4)])
  expect(await remembered()).toEqual([2, 3, 4])
  now = 2_000
  await log.append([reading(5)])
  expect(await remembered()).toEqual([5])
})

test('an event id is forgotten after its retention', async () => {
  let now = 0
  const log = createMemoryLog({ retentionMs: 1_000, now: () => now })
  await log.append([anomaly('a')])
  now = 2_000
  await log.append([reading(1)])
  expect(await log.append([anomaly('a')])).toMatchObject({ entries: 1 })
})

test('two logs have different epochs', async () => {
  const epochs = await Promise.all(
    [createMemoryLog(), createMemoryLog()].map(async (log) => {
      const picture = new Picture()
      await log.follow(picture)
      return picture.snapshots[0]?.epoch
    }),
  )
  expect(epochs[0]).not.toBe(epochs[1])
})

test('the state of a key is forgotten when nothing arrived for it', async () => {
  let now = 0
  const log = createMemoryLog({ retentionMs: 1_000, now: () => now })
  await log.append([reading(1), reading(1, 'p', { kind: 'position', sensor: '' })])
  now = 900
  await log.append([reading(2)])
  now = 1_500
  const picture = new Picture()
  await log.follow(picture)
  expect([...picture.state.keys()]).toEqual(['sensordata\tv\ts'])
})

test('the status of a vehicle that is there outlives its last change, that of one that is gone does not', async () => {
  let now = 0
  const log = createMemoryLog({ retentionMs: 1_000, now: () => now })
  await log.append([vehicleStatus('online', 'here'), vehicleStatus('offline', 'gone'), reading(1)])
  for (now = 900; now < 5_000; now += 900) await log.append([reading(now)])
  const picture = new Picture()
  await log.follow(picture)
  expect(picture.snapshots[0]!.state.map(({ kind, vehicle }) => [kind, vehicle])).toEqual([
    ['vehiclestatus', 'here'],
    ['sensordata', 'v'],
  ])
})

test('what a reader appends comes after what it is told, for all of them', async () => {
  const log = createMemoryLog()
  const [answering, other] = [new Picture(), new Picture()]
  await log.follow({
    onSnapshot: (snapshot) => answering.onSnapshot(snapshot),
    onEntries: (entries) => {
      answering.onEntries(entries)
      if (entries[0]?.seq === 1) void log.append([reading(2, 'answer')])
    },
  })
  await log.follow(other)
  await log.append([reading(1, 'question')])
  for (const { values } of [answering, other]) expect(values).toEqual(['question', 'answer'])
})
