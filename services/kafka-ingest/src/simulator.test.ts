import { defaultAnomalies, defaultSensors } from '@flasktoria/contracts/catalogue'
import { positionSensor } from '@flasktoria/contracts/records'
import { describe, expect, test } from 'vitest'
import { createInterpreter } from './interpret.ts'
import type { RawRecord } from './record-source.ts'
import type { SimulatedRecord } from './simulated-vehicle.ts'
import { Fleet, createSimulatorSource } from './source-simulator.ts'

const start = Date.UTC(2026, 0, 1)

/** What a fleet says in so many seconds. */
const live = (vehicles: number, seed: number, seconds: number): SimulatedRecord[] => {
  const fleet = new Fleet(vehicles, seed)
  return Array.from({ length: seconds * 10 }, (_, turn) => fleet.nextTurn(start + turn * 100)).flat()
}
type Reading = { ts: number; text: string }
const textOf = (value: string) => value.slice(value.indexOf(': ') + 2)
/** What each sensor of each vehicle said, in order. */
const seriesOf = (records: readonly SimulatedRecord[]) => {
  const series = new Map<string, Reading[]>()
  for (const { form, record } of records) {
    if (form !== 'sensor') continue
    const key = `${record.uuid} ${record.sensor}`
    const readings = series.get(key) ?? []
    series.set(key, readings)
    readings.push({ ts: record.timestamp, text: textOf(record.value) })
  }
  return (vehicle: string, sensor: string): Reading[] => series.get(`${vehicle} ${sensor}`) ?? []
}
const idOf = (vehicle: number) => `van-${String(vehicle).padStart(3, '0')}`

test('the same seed gives the same fleet, another seed another one', () => {
  expect(live(20, 7, 60)).toEqual(live(20, 7, 60))
  expect(live(20, 8, 5)).not.toEqual(live(20, 7, 5))
})

test('each vehicle reports its position, speed and engine every second', () => {
  const readings = seriesOf(live(25, 1, 30))
  for (let vehicle = 1; vehicle <= 25; vehicle++)
    for (const sensor of [positionSensor, 'pid_13_mode_1', 'pid_12_mode_1'])
      expect(readings(idOf(vehicle), sensor)).toHaveLength(30)
})

test('vehicles drive as vehicles do: they move as fast as they say, and sometimes stand', () => {
  const readings = seriesOf(live(10, 3, 600))
  let standing = 0
  for (let vehicle = 1; vehicle <= 10; vehicle++) {
    const places = readings(idOf(vehicle), positionSensor).map(({ text }) => JSON.parse(text) as [number, number])
    const speeds = readings(idOf(vehicle), 'pid_13_mode_1').map(({ text }) => Number(text))
    for (let second = 1; second < places.length; second++) {
      // A corner cut makes the straight line shorter; a stop line makes the last metres fewer.
      expect(metresBetween(places[second - 1]!, places[second]!)).toBeLessThan(speeds[second]! / 3.6 + 2.5)
      if (speeds[second] === 0) standing += 1
    }
    expect(Math.max(...speeds)).toBeLessThan(130)
    expect(speeds.reduce((sum, speed) => sum + speed) / speeds.length).toBeGreaterThan(10)
  }
  expect(standing / 6_000).toBeGreaterThan(0.05)
})

function metresBetween([lat1, long1]: [number, number], [lat2, long2]: [number, number]): number {
  const east = (long2 - long1) * Math.cos((lat1 * Math.PI) / 180)
  return Math.hypot(lat2 - lat1, east) * 111_320
}

test('sensors stay in the range that their catalogue calls normal, almost always', () => {
  const records = live(50, 5, 600)
  for (const { id, low = -Infinity, high = Infinity } of defaultSensors) {
    const numbers = records.flatMap(({ form, record }) =>
      form === 'sensor' && record.sensor === id ? Number(textOf(record.value)) : [],
    )
    const strange = numbers.filter((value) => value < low || value > high)
    expect(strange.length / numbers.length, id).toBeLessThan(0.05)
  }
})

describe('anomalies', () => {
  test.each([1, 2, 3, 4, 5, 6, 7, 8])('fifty vehicles (seed %i) show one within two minutes, and not many', (seed) => {
    const anomalies = live(50, seed, 120).filter(({ form }) => form === 'anomaly')
    expect(anomalies.length).toBeGreaterThan(0)
    expect(anomalies.length).toBeLessThan(8)
  })

  test('each of the catalogue comes up, and its cause shows in the sensors before', { timeout: 30_000 }, () => {
    const records = live(60, 2, 1_500)
    const readings = seriesOf(records)
    const seen = new Set<number>()
    for (const { form, record } of records) {
      if (form !== 'anomaly') continue
      seen.add(record.anomaly_id)
      const recent = (sensor: string) =>
        readings(record.uuid, sensor)
          .filter(({ ts }) => ts > record.timestamp - 60_000 && ts <= record.timestamp)
          .map(({ text }) => Number(text))
      const tires = [201, 202, 203, 204].flatMap((pid) => recent(`pid_${pid}_mode_1`))
      const isVisible = [
        () => Math.min(...tires) < 210,
        () => recent('pid_205_mode_1').filter((force) => force > 80).length >= 3,
        () => Math.max(...recent('pid_13_mode_1')) > 50 && Math.min(...recent('pid_70_mode_1')) < 6,
        () => recent('pid_47_mode_1')[0]! - recent('pid_47_mode_1').at(-1)! > 4,
        () => Math.max(...recent('pid_5_mode_1')) > 105,
        () => recent('pid_13_mode_1').filter((speed) => speed === 0).length > 55,
      ][record.anomaly_id]!
      expect(isVisible(), `anomaly ${record.anomaly_id} of ${record.uuid}`).toBe(true)
    }
    expect([...seen].toSorted((a, b) => a - b)).toEqual(defaultAnomalies.map(({ id }) => id))
  })
})

test('the source writes real Avro bytes that are all valid, numbered without holes, at the pace of the clock', async () => {
  const interpret = createInterpreter({ earliestTs: start, maxAheadMs: 1_000 })
  const source = createSimulatorSource({ vehicles: 30, seed: 1, topics: { sensor: 's', anomaly: 'a' } })
  const stopping = new AbortController()
  const records: RawRecord[] = []
  const startedAt = Date.now()
  await source.run(
    {
      accept: (batch) => {
        records.push(...batch)
        if (records.length > 150) stopping.abort()
        return Promise.resolve()
      },
    },
    stopping.signal,
  )
  expect(records.map(({ offset }) => offset)).toEqual(records.map((_, index) => index))
  for (const record of records) expect(interpret(record, Date.now())).toMatchObject({ ok: true })
  expect(Date.now() - startedAt).toBeGreaterThan(700)
})

test('a consumer that takes its time slows the fleet down; nothing piles up', async () => {
  const source = createSimulatorSource({ vehicles: 10, seed: 1, topics: { sensor: 's', anomaly: 'a' } })
  const stopping = new AbortController()
  let underWay = 0
  let calls = 0
  await source.run(
    {
      accept: async () => {
        expect(++underWay).toBe(1)
        await new Promise((done) => setTimeout(done, 50))
        underWay -= 1
        if (++calls === 5) stopping.abort()
      },
    },
    stopping.signal,
  )
  expect(calls).toBe(5)
})
