import { createLogger } from '@flasktoria/service-kit/logger'
import { expect, test } from 'vitest'
import { sensorProfile } from './built-in-profiles.ts'
import { deadLetter } from './dead-letters.ts'
import { createKafkaDeadLetters, replaysOf } from './kafka-dead-letters.ts'

const raw = { topic: 't', profile: sensorProfile, partition: 0, offset: 0, value: Buffer.from('x'), timestamp: 0 }
const letter = deadLetter(raw, 'malformed', 0)

test('while no broker answers letters are lost, and counted; no more than two thousand wait, and stopping waits for none', async () => {
  let lost = 0
  const options = { brokers: ['127.0.0.1:1'], topic: 'dead', onLost: (letters: number) => (lost += letters) }
  const letters = createKafkaDeadLetters(options, createLogger('test', 'silent'))
  for (let batch = 0; batch < 5; batch++) letters.put(Array.from({ length: 1_000 }, () => letter))
  expect(lost).toBe(3_000)
  await expect.poll(() => lost, { timeout: 20_000 }).toBe(5_000)
  letters.put([letter])
  await letters.close()
}, 30_000)

test.each([
  [0, {}],
  [2, { 'flasktoria-replays': '2' }],
  [3, { 'flasktoria-replays': ['1', '3'] }],
  [Infinity, { 'flasktoria-replays': 'often' }],
  [Infinity, { 'flasktoria-replays': '-1' }],
])('a record was replayed %s times when it says so: %o', (replays, headers) => {
  expect(replaysOf(deadLetter({ ...raw, attached: { key: null, headers } }, 'malformed', 0))).toBe(replays)
})
