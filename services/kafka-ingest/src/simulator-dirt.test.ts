import { expect, test, vi } from 'vitest'
import { anomalyProfile, sensorProfile } from './built-in-profiles.ts'
import { FleetEncoder } from './encode-fleet.ts'
import { createInterpreter } from './interpret.ts'
import { anomalyStream, type RecordBatch } from './simulator-batch.ts'
import { Dirt, dirtKinds } from './simulator-dirt.ts'
import { Fleet } from './simulator-fleet.ts'

vi.setConfig({ testTimeout: 60_000 })

const begin = Date.UTC(2026, 4, 1, 8)

function lived(share: number, seed = 1, seconds = 900): { batch: RecordBatch; dirt: Dirt } {
  const fleet = new Fleet({ vehicles: 40, seed, reportEverySeconds: 2 })
  const encoder = new FleetEncoder({ vehicles: 40 })
  const dirt = new Dirt(encoder, share, seed)
  while (fleet.elapsedMs < seconds * 1_000) {
    encoder.ts = begin + fleet.elapsedMs
    dirt.deliverLate()
    fleet.nextTurn(dirt)
  }
  return { batch: encoder.take(), dirt }
}

const textsOf = (batch: RecordBatch) =>
  Array.from({ length: batch.count }, (_, record) => batch.value(record).toString('hex'))

test('without dirt nothing changes', () => {
  const fleet = new Fleet({ vehicles: 40, seed: 1, reportEverySeconds: 2 })
  const encoder = new FleetEncoder({ vehicles: 40 })
  while (fleet.elapsedMs < 30_000) {
    encoder.ts = begin + fleet.elapsedMs
    fleet.nextTurn(encoder)
  }
  expect(textsOf(lived(0, 1, 30).batch)).toEqual(textsOf(encoder.take()))
})

test('the same seed spoils the same records, and as many as asked for, in every way', () => {
  const [one, same] = [lived(0.02), lived(0.02)]
  expect(textsOf(same.batch)).toEqual(textsOf(one.batch))
  const counts = Object.values(one.dirt.counts)
  expect(counts.reduce((sum, count) => sum + count) / one.batch.count).toBeCloseTo(0.02, 2)
  expect(counts.every((count) => count > 20)).toBe(true)
  expect(Object.keys(one.dirt.counts)).toEqual([...dirtKinds])
})

test('what is clean of it are the records of the clean fleet', () => {
  const clean = new Set(textsOf(lived(0).batch))
  const { batch, dirt } = lived(0.02)
  const strange = textsOf(batch).filter((text) => !clean.has(text)).length
  const { duplicate: _, late: __, ...changed } = dirt.counts
  // A flip may be undone by the next one.
  const expected = Object.values(changed).reduce((sum, count) => sum + count)
  expect(strange).toBeGreaterThan(expected * 0.97)
  expect(strange).toBeLessThanOrEqual(expected)
})

test('the real interpreter refuses the garbage for its reasons, and every anomaly comes, if late or twice', () => {
  const { batch, dirt } = lived(0.2)
  const interpret = createInterpreter({ earliestTs: begin - 1, maxAheadMs: 60_000 })
  const reasons = new Map<string, number>()
  const anomalies: string[] = []
  for (let record = 0; record < batch.count; record++) {
    const isAnomaly = batch.stream(record) === anomalyStream
    const profile = isAnomaly ? anomalyProfile : sensorProfile
    const value = batch.value(record)
    const raw = { topic: 't', profile, partition: 0, offset: record, value, timestamp: batch.time(record) }
    const result = interpret(raw, begin + 900_000)
    if (isAnomaly && result.ok) anomalies.push(value.toString('hex'))
    const reason = result.ok ? 'ok' : result.reason
    reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
  }
  expect(reasons.get('no_fix')).toBeGreaterThanOrEqual(dirt.counts['null island'])
  expect(reasons.get('not_finite')).toBeGreaterThanOrEqual(dirt.counts['not a number'] * 0.9)
  expect(reasons.get('in_future')).toBeGreaterThan(dirt.counts.future / 2)
  expect(reasons.get('malformed')).toBeGreaterThan(0)
  const cleanBatch = lived(0).batch
  const clean = textsOf(cleanBatch).filter((_, record) => cleanBatch.stream(record) === anomalyStream)
  const underWay = clean.filter((text) => !anomalies.includes(text))
  // Only what is late still when the fleet ends has not come.
  expect(clean.length - underWay.length).toBeGreaterThan(3)
  expect(underWay.length).toBeLessThanOrEqual(dirt.counts.late)
  expect(new Set(anomalies)).toEqual(new Set(clean.filter((text) => !underWay.includes(text))))
})

test('late records come twenty seconds to five minutes late, and are unchanged', () => {
  const { batch, dirt } = lived(0.02)
  let newest = 0
  const delays: number[] = []
  for (let record = 0; record < batch.count; record++) {
    const time = batch.time(record)
    if (time > begin + 900_000) continue
    newest = Math.max(newest, time)
    if (time < newest - 1_000) delays.push(newest - time)
  }
  expect(delays.length).toBeGreaterThan(dirt.counts.late / 2)
  expect(delays.length).toBeLessThanOrEqual(dirt.counts.late)
  expect(Math.min(...delays)).toBeGreaterThanOrEqual(20_000 - 100)
  expect(Math.max(...delays)).toBeLessThanOrEqual(300_000 + 1_000)
})
