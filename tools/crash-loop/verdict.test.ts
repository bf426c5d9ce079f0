import { expect, test } from 'vitest'
import type { Written } from './ledger.ts'
import { countSeams, judgeLog, judgeTestimony } from './verdict.ts'
import type { Sighting } from './witness.ts'

const inEpoch = (epoch: string, ...serials: number[]): Sighting[] => serials.map((serial) => ({ serial, epoch }))
const written = (life: number, epoch: string, ...serials: number[]): Written[] =>
  serials.map((serial) => ({ serial, epoch, life }))
const ground = (...lots: Written[][]) => ({
  produced: 6,
  written: lots.flat(),
  epochs: [...new Set(lots.flat().map(({ epoch }) => epoch))],
})
const witness = (...lots: Sighting[][]) => ({
  name: 'Ada',
  sightings: lots.flat(),
  epochs: [...new Set(lots.flat().map(({ epoch }) => epoch))],
})

const restarted = ground(written(0, 'a', 0, 1, 2), written(0, 'b', 3, 4, 5))

test('a log with each anomaly once is as it should be', () => {
  expect(judgeLog(restarted)).toEqual([])
})

test('an anomaly that is lost, one that stands twice, and one that nobody produced are found', () => {
  expect(judgeLog(ground(written(0, 'a', 0, 1, 2, 2, 4, 5, 6)))).toEqual([
    '1 anomalies are not in the log: 3',
    '1 anomalies stand twice in the log: 2',
    'nobody produced 6',
  ])
})

test('an anomaly that stands again after the memory of Redis was lost is none that stands twice', () => {
  expect(judgeLog(ground(written(0, 'a', 0, 1, 2), written(1, 'b', 2, 3, 4, 5)))).toEqual([])
  expect(judgeLog(ground(written(0, 'a', 0, 1, 2), written(0, 'b', 2, 3, 4, 5)))).toEqual([
    '1 anomalies stand twice in the log: 2',
  ])
})

test('who saw all of it has nothing to complain about', () => {
  const ada = witness(inEpoch('a', 0, 1, 2), inEpoch('b', 3, 4, 5))
  expect(judgeTestimony(ada, restarted)).toEqual([])
  expect(countSeams(ada, restarted)).toEqual({ missed: 0, repeated: 0 })
})

test('what is missing where one epoch ends and the next begins is told by the next one, and counted', () => {
  const ada = witness(inEpoch('a', 0, 1), inEpoch('b', 4, 5))
  expect(judgeTestimony(ada, restarted)).toEqual([])
  expect(countSeams(ada, restarted)).toEqual({ missed: 2, repeated: 0 })
})

test.each([
  ['in the middle of an epoch', [inEpoch('a', 0, 2), inEpoch('b', 3, 4, 5)], 1],
  ['at the very beginning', [inEpoch('a', 1, 2), inEpoch('b', 3, 4, 5)], 1],
  ['at the very end', [inEpoch('a', 0, 1, 2), inEpoch('b', 3, 4)], 2],
])('a hole %s is a fault', (_where, lots, epoch) => {
  expect(judgeTestimony(witness(...lots), restarted)).toEqual([
    `Ada missed 1 of 3 anomalies of epoch ${epoch}, and was not told`,
  ])
})

test('who came into the last epoch behind its last anomaly was told by the epoch itself', () => {
  const ada = { ...witness(inEpoch('a', 0, 1, 2)), epochs: ['a', 'b'] }
  expect(judgeTestimony(ada, restarted)).toEqual([])
  expect(countSeams(ada, restarted)).toEqual({ missed: 3, repeated: 0 })
})

test('who was never told of another epoch was not told of what ended with theirs', () => {
  const whole = ground(written(0, 'a', 0, 1, 2), written(0, 'b', 3, 4, 5), written(0, 'c'))
  expect(judgeTestimony(witness(inEpoch('a', 0, 1)), whole)).toEqual([
    'Ada missed 1 anomalies where epoch 1 ended, and was told of no other',
    'Ada missed 3 anomalies where epoch 2 ended, and was told of no other',
  ])
})

test('what came twice in an epoch, and what the log never had, is a fault', () => {
  expect(judgeTestimony(witness(inEpoch('a', 0, 1, 1, 2), inEpoch('b', 3, 4, 5, 2)), restarted)).toEqual([
    'Ada saw 1 anomalies twice: 1',
    'Ada saw 1 that the log never had: 2',
  ])
})
