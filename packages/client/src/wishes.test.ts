import { expect, test } from 'vitest'
import { changed, letThroughAnomalies } from './wishes.ts'

test('a change leaves what it does not mention', () => {
  expect(changed({ positionsOnly: true, maxRateHz: 2 }, { maxRateHz: 10, sensors: undefined })).toEqual({
    positionsOnly: true,
    maxRateHz: 10,
  })
})

test('a box takes the place of vehicles, and the other way round', () => {
  expect(changed({ vehicles: ['v'] }, { bbox: [0, 0, 1, 1] })).toEqual({ bbox: [0, 0, 1, 1] })
  expect(changed({ bbox: [0, 0, 1, 1] }, { vehicles: ['v'] })).toEqual({ vehicles: ['v'] })
  expect(changed({ bbox: [0, 0, 1, 1] }, { maxRateHz: 1 })).toEqual({ bbox: [0, 0, 1, 1], maxRateHz: 1 })
})

test('anomalies come unless other kinds were asked for', () => {
  expect([{}, { kinds: ['anomaly' as const] }].map(letThroughAnomalies)).toEqual([true, true])
  expect([{ kinds: ['position' as const] }, { positionsOnly: true }].map(letThroughAnomalies)).toEqual([false, false])
})
