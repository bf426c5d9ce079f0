import { defaultAnomalies } from '@flasktoria/contracts/catalogue'
import { expect, test } from 'vitest'
import { costIndex, efficiencyIndex } from './cost.ts'
import { Series } from './series.ts'

const hour = 3_600_000
const now = 1_790_000_000_000
const catalogue = new Map(defaultAnomalies.map((anomaly) => [anomaly.id, anomaly]))
const anomaly = (anomalyId: number, age: number) => ({
  vehicle: 'v',
  anomalyId,
  timestamp: now - age,
  detectionTime: '',
  confirmationTime: '',
})
const speeds = (...rows: [age: number, speed: number][]) => {
  const series = new Series()
  for (const [age, speed] of rows) series.push(now - age, speed)
  return series
}

test('costs add up per period, both ends included, without anomalies that the catalogue does not know', () => {
  const anomalies = [
    anomaly(0, 0),
    anomaly(3, 24 * hour),
    anomaly(0, 24 * hour + 1),
    anomaly(5, 7 * 24 * hour),
    anomaly(99, 1),
  ]
  expect(costIndex([...anomalies, anomaly(0, 30 * 24 * hour + 1)], catalogue, now)).toEqual({
    day: {
      value: 1_100,
      why: 'Anomalies in the last 24 hours: 1 × High fuel consumption (1,000), 1 × Low tire pressure (100).',
    },
    week: {
      value: 1_250,
      why: 'Anomalies in the last 7 days: 1 × High fuel consumption (1,000), 2 × Low tire pressure (200), 1 × Excessive idling (50).',
    },
    month: {
      value: 1_250,
      why: 'Anomalies in the last 30 days: 1 × High fuel consumption (1,000), 2 × Low tire pressure (200), 1 × Excessive idling (50).',
    },
  })
})

test('anomalies that cost nothing are named all the same, and none is said to be none', () => {
  const { day, week } = costIndex([anomaly(1, 25 * hour)], catalogue, now)
  expect(day).toEqual({ value: 0, why: 'No anomaly in the last 24 hours.' })
  expect(week).toEqual({ value: 0, why: 'Anomalies in the last 7 days: 1 × Excessive braking (0).' })
})

test('the share of moving readings joins what the history summed up and what is recent', () => {
  const older = {
    day: { readings: 1, moving: 1, mean: 30, meanMoving: 30 },
    week: { readings: 6, moving: 2, mean: 10, meanMoving: 30 },
    month: { readings: 6, moving: 2, mean: 10, meanMoving: 30 },
  }
  const { day, week } = efficiencyIndex(older, speeds([0, 0], [10, 1], [20, 45]), now)
  expect(day).toEqual({
    value: 50,
    why: 'Moving in 50 % of 4 speed readings of the last 24 hours; mean speed 19 km/h.',
  })
  expect(week).toEqual({
    value: 33.33,
    why: 'Moving in 33.3 % of 9 speed readings of the last 7 days; mean speed 11.8 km/h.',
  })
})

test('without a reading the index is 0 and says so', () => {
  const nothing = { value: 0, why: 'No speed reading in the last 24 hours.' }
  expect(efficiencyIndex(undefined, speeds([25 * hour, 50]), now)).toMatchObject({ day: nothing, week: { value: 100 } })
})
