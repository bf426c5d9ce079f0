import { expect, test } from 'vitest'
import { createMemoryLog } from './log-memory.ts'
import { Picture, anomaly, logConformance, reading } from './log.conformance.ts'

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
