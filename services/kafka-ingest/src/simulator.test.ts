import { defaultAnomalies, defaultSensors } from '@flasktoria/contracts/catalogue'
import { assert, integer, nat, property } from 'fast-check'
import { describe, expect, test } from 'vitest'
import { topSpeed } from './drive.ts'
import { Dice } from './random.ts'
import { nextDirection, opposite, RoadNetwork, type Place } from './road-network.ts'
import { hourOf } from './simulator-day.ts'
import { measure, tirePressure } from './simulator-gauges.ts'
import { Fleet, vehicleNames, type FleetListener, type FleetOptions } from './simulator-fleet.ts'
import { parked } from './simulator-vehicles.ts'

type Reading = { second: number; value: number }
type Anomaly = { vehicle: number; second: number; anomalyId: number; sensor: string }
type Life = {
  text: string[]
  anomalies: Anomaly[]
  readings: (vehicle: number, sensor: string) => Reading[]
  places: Track[][]
}
type Track = { second: number; lat: number; long: number }

/** What a fleet says in so many seconds. */
function live(options: FleetOptions, seconds: number, afterEach?: (fleet: Fleet) => void): Life {
  const fleet = new Fleet(options)
  const series = new Map<string, Reading[]>()
  const life: Life = {
    text: [],
    anomalies: [],
    readings: (vehicle, sensor) => series.get(`${vehicle} ${sensor}`) ?? [],
    places: Array.from({ length: options.vehicles }, () => []),
  }
  let second = 0
  const listener: FleetListener = {
    fix: (vehicle, lat, long) => void life.places[vehicle]!.push({ second, lat, long }),
    reading: (vehicle, sensor, value, decimals) => {
      const key = `${vehicle} ${sensor}`
      const readings = series.get(key) ?? []
      series.set(key, readings)
      readings.push({ second, value: Number(value.toFixed(decimals)) })
    },
    word: (vehicle, sensor, word) => void life.text.push(`${second} ${vehicle} ${sensor} ${word}`),
    anomaly: (vehicle, sensor, anomalyId) => void life.anomalies.push({ vehicle, second, anomalyId, sensor }),
  }
  while (fleet.elapsedMs < seconds * 1_000) {
    second = Math.floor(fleet.elapsedMs / 1_000)
    fleet.nextTurn(listener)
    afterEach?.(fleet)
  }
  return life
}

const metresBetween = (one: Place, other: Place): number =>
  Math.hypot((other.long - one.long) * 84_752, (other.lat - one.lat) * 111_320)
const share = <Item>(items: readonly Item[], is: (item: Item) => boolean) => items.filter(is).length / items.length

describe('the town', () => {
  const roads = new RoadNetwork(50, 1)

  test('from every crossing every other one is reached, by ways that lead both ways', () => {
    const seen = new Set([0])
    for (const crossing of seen)
      for (const direction of [0, 1, 2, 3]) {
        if (!roads.isOpen(crossing, direction)) continue
        const neighbour = roads.neighbour(crossing, direction)
        expect(roads.isOpen(neighbour, opposite(direction))).toBe(true)
        seen.add(neighbour)
      }
    expect(seen.size).toBe(roads.crossings)
  })

  test('is no chessboard: blocks differ, and some streets are cut', () => {
    const lengths = new Set<number>()
    let cut = 0
    for (let crossing = 0; crossing < roads.crossings - 1; crossing++)
      if (roads.isOpen(crossing, 0)) lengths.add(Math.round(roads.length(crossing, 0)))
      else cut += 1
    expect(lengths.size).toBeGreaterThan(50)
    expect(Math.min(...lengths)).toBeGreaterThan(topSpeed)
    expect(cut / roads.crossings).toBeGreaterThan(0.15)
  })

  test('who follows the way to a destination gets there', () => {
    const crossing = integer({ min: 0, max: roads.crossings - 1 })
    assert(
      property(crossing, crossing, nat(), (from, to, seed) => {
        const dice = new Dice(1, seed)
        let [at, direction, blocks] = [from, [0, 1, 2, 3].find((way) => roads.isOpen(from, way))!, 0]
        for (; at !== to && blocks < 1_000; blocks++) {
          at = roads.neighbour(at, direction)
          direction = nextDirection(roads, at, direction, to, dice.next(0))
          if (!roads.isOpen(at, direction)) throw new Error(`there is no way ${direction} at ${at}`)
        }
        expect(blocks).toBeLessThan(1_000)
      }),
      { numRuns: 1_000 },
    )
  })

  test('crossing roads never have green at once, and nobody waits for a minute', () => {
    for (let crossing = 0; crossing < roads.crossings; crossing += 7) {
      let red = 0
      for (let second = 0; second < 200; second++) {
        const [across, along] = [roads.isGreen(crossing, 0, second), roads.isGreen(crossing, 1, second)]
        const hasSignal = [...Array(70).keys()].some((other) => !roads.isGreen(crossing, 0, other))
        expect(across && along && hasSignal).toBe(false)
        red = across ? 0 : red + 1
        expect(red).toBeLessThan(60)
      }
    }
  })
})

test('the same seed gives the same fleet, another seed another one', () => {
  const [one, same, other] = [7, 7, 8].map((seed) => live({ vehicles: 20, seed }, 60))
  expect(same!.places).toEqual(one!.places)
  expect(same!.text).toEqual(one!.text)
  expect(other!.places).not.toEqual(one!.places)
})

test('whoever is under way reports position, speed and engine as often as it should; all report at once in the beginning', () => {
  const every = (reportEverySeconds: number) => live({ vehicles: 25, seed: 1, reportEverySeconds }, 60)
  const life = every(1)
  for (const [vehicle, track] of life.places.entries()) {
    expect(track[0]!.second).toBe(0)
    expect([60, 2, 1]).toContain(track.length)
    for (const sensor of ['pid_13_mode_1', 'pid_12_mode_1'])
      expect(life.readings(vehicle, sensor)).toHaveLength(track.length)
    expect(life.readings(vehicle, 'pid_204_mode_1')[0]!.second).toBe(0)
  }
  // Who has trouble, or comes home, says so in between.
  const reports = every(10).places.map(({ length }) => length)
  expect(reports.filter((length) => length > 3 && Math.abs(length - 7) > 2)).toEqual([])
})

test(
  'vehicles drive as vehicles do: as far as they say, on the roads, and sometimes they stand',
  { timeout: 30_000 },
  () => {
    assert(
      property(nat(), (seed) => {
        const life = live({ vehicles: 20, seed }, 600)
        let [standing, all, kmhs] = [0, 0, 0]
        for (const [vehicle, track] of life.places.entries()) {
          const speeds = life.readings(vehicle, 'pid_13_mode_1')
          for (const [index, { second }] of track.entries()) {
            if (index === 0) continue
            const kmh = speeds[index]!.value
            const slower = speeds[index - 1]!.value
            // A corner cut makes the straight line shorter; six decimals of a degree are a decimetre.
            const seconds = second - track[index - 1]!.second
            expect(metresBetween(track[index - 1]!, track[index]!)).toBeLessThan((seconds * kmh) / 3.6 + 0.3)
            expect(kmh).toBeLessThanOrEqual(topSpeed * 3.6)
            expect((kmh - slower) / seconds).toBeLessThan(2 * 3.6 + 0.2)
            expect((slower - kmh) / seconds).toBeLessThan(7.4 * 3.6 + 0.2)
            if (kmh === 0) standing += 1
            all += 1
            kmhs += kmh
          }
        }
        expect(standing / all).toBeGreaterThan(0.05)
        expect(standing / all).toBeLessThan(0.7)
        expect(kmhs / all).toBeGreaterThan(10)
      }),
      { numRuns: 5, examples: [[606_744_035]] },
    )
  },
)

test('every position lies on a road', () => {
  const roads = new RoadNetwork(30, 4)
  const ends: Place[] = Array.from({ length: roads.crossings }, () => ({ lat: 0, long: 0 }))
  for (const [crossing, place] of ends.entries())
    roads.locate(
      crossing,
      [0, 1, 2, 3].find((way) => roads.isOpen(crossing, way))!,
      0,
      place,
    )
  const isOnRoad = (place: Place) =>
    ends.some(
      (end, crossing) =>
        metresBetween(end, place) < 250 &&
        [0, 1].some((way) => {
          if (!roads.isOpen(crossing, way)) return false
          const other = ends[roads.neighbour(crossing, way)]!
          return metresBetween(end, place) + metresBetween(place, other) < metresBetween(end, other) + 0.05
        }),
    )
  for (const track of live({ vehicles: 30, seed: 4 }, 120).places)
    for (const place of track.filter((_, index) => index % 10 === 0)) expect(isOnRoad(place)).toBe(true)
})

test('fuel falls while a vehicle drives, and rises only where a station is', { timeout: 30_000 }, () => {
  const mistakes: string[] = []
  const before = new Float64Array(60).fill(Infinity)
  let refuelled = 0
  live({ vehicles: 60, seed: 9, reportEverySeconds: 60 }, 3_600, ({ vehicles, roads, elapsedMs }) => {
    for (let v = 0; v < vehicles.count; v++) {
      const fuel = vehicles.fuel[v]!
      const isAtStation = roads.isStation(roads.neighbour(vehicles.crossing[v]!, vehicles.direction[v]!))
      if (fuel > before[v]!) {
        if (!isAtStation || vehicles.speed[v] !== 0) mistakes.push(`${v} fills up at ${elapsedMs}, and can't`)
        refuelled += 1
      }
      if (fuel <= 0) mistakes.push(`${v} ran dry at ${elapsedMs}`)
      before[v] = fuel
    }
  })
  expect(mistakes).toEqual([])
  expect(refuelled).toBeGreaterThan(0)
})

test('most vehicles are at home by night, and out by day', { timeout: 60_000 }, () => {
  const parkedAt = new Map<number, number>()
  live({ vehicles: 40, seed: 2, reportEverySeconds: 60 }, 24 * 3_600, ({ vehicles, elapsedMs }) => {
    const hour = hourOf(8, elapsedMs / 1_000)
    if (Number.isInteger(hour))
      parkedAt.set(
        hour,
        share([...vehicles.activity], (activity) => activity === parked),
      )
  })
  expect(parkedAt.get(9)).toBeLessThan(0.3)
  expect(parkedAt.get(0)).toBeGreaterThan(0.7)
  expect(parkedAt.get(7)).toBeGreaterThan(0)
})

describe('gauges', () => {
  /** One vehicle, ten minutes at a speed. */
  const measured = (change: Partial<Record<'speed' | 'load' | 'deceleration' | 'ambient' | 'isEngineOn', number>>) => {
    const { vehicles } = new Fleet({ vehicles: 1, seed: 1 })
    for (const name of ['speed', 'deceleration'] as const) vehicles[name][0] = 0
    vehicles.ambient[0] = vehicles.tireHeat[0] = 10
    vehicles.isEngineOn[0] = 1
    vehicles.coolant[0] = 89
    for (const [name, value] of Object.entries(change)) vehicles[name as keyof typeof change][0] = value
    const fuel = vehicles.fuel[0]!
    for (let second = 0; second < 600; second++) measure(vehicles, 0, 12)
    const { coolant, rpm } = vehicles
    return {
      pressure: tirePressure(vehicles, 0, 0),
      burnt: fuel - vehicles.fuel[0]!,
      coolant: coolant[0]!,
      rpm: rpm[0]!,
    }
  }

  test('tires are harder after a drive, harder still under load, and with much braking', () => {
    const [standing, rolling] = [measured({}), measured({ speed: 15 })]
    expect(rolling.pressure).toBeGreaterThan(standing.pressure + 3)
    expect(measured({ speed: 15, load: 1 }).pressure).toBeGreaterThan(measured({ speed: 15, load: 0 }).pressure + 2)
    expect(measured({ speed: 15, deceleration: 2 }).pressure).toBeGreaterThan(rolling.pressure + 2)
  })

  test('load costs fuel and heats the engine; an engine that is off burns nothing', () => {
    const [empty, full] = [measured({ speed: 15, load: 0 }), measured({ speed: 15, load: 1 })]
    expect(full.burnt).toBeGreaterThan(empty.burnt * 1.1)
    expect(full.coolant).toBeGreaterThan(empty.coolant + 1)
    expect(measured({ isEngineOn: 0 })).toMatchObject({ burnt: 0, rpm: 0 })
  })

  test('a litre is what ten kilometres take, about', () => {
    expect(measured({ speed: 15 }).burnt * 0.6).toBeGreaterThan(0.8)
    expect(measured({ speed: 15 }).burnt * 0.6).toBeLessThan(1.6)
  })
})

test('sensors of vehicles under way stay in the range that their catalogue calls normal, almost always', () => {
  const life = live({ vehicles: 50, seed: 5 }, 600)
  for (const { id, low = -Infinity, high = Infinity } of defaultSensors.filter(({ unit }) => unit !== '')) {
    const numbers = life.places.flatMap((track, vehicle) => (track.length > 100 ? life.readings(vehicle, id) : []))
    const strange = numbers.filter(({ value }) => value < low || value > high)
    expect(numbers.length, id).toBeGreaterThan(1_000)
    expect(strange.length / numbers.length, id).toBeLessThan(0.05)
  }
})

describe('anomalies', () => {
  test.each([1, 2, 3, 4, 5, 6, 7, 8])('fifty vehicles (seed %i) show one within two minutes, and not many', (seed) => {
    const { anomalies } = live({ vehicles: 50, seed }, 120)
    expect(anomalies.length).toBeGreaterThan(0)
    expect(anomalies.length).toBeLessThan(8)
  })

  /** For how long before the anomaly its cause shows. */
  const causeSeconds = 240
  test('each of the catalogue comes up, and its cause shows in the sensors before', { timeout: 60_000 }, () => {
    const life = live({ vehicles: 60, seed: 2 }, 3_000)
    for (const { vehicle, second, anomalyId, sensor } of life.anomalies) {
      const recent = (id: string, seconds = causeSeconds) =>
        life
          .readings(vehicle, id)
          .filter((reading) => reading.second > second - seconds && reading.second <= second)
          .map(({ value }) => value)
      const isVisible = [
        () => Math.min(...recent(sensor)) < 195,
        () => recent('pid_205_mode_1').filter((force) => force > 80).length >= 3,
        () => Math.max(...recent('pid_13_mode_1')) > 48 && Math.min(...recent('pid_70_mode_1')) < 4,
        () => recent('pid_47_mode_1', 60)[0]! - recent('pid_47_mode_1', 60).at(-1)! > 4,
        () => Math.max(...recent('pid_5_mode_1')) > 105,
        () =>
          recent('pid_13_mode_1', 62).filter((speed) => speed === 0).length > 55 &&
          Math.min(...recent('pid_12_mode_1', 55)) > 500,
      ][anomalyId]!
      expect(isVisible(), `anomaly ${anomalyId} of ${vehicle} at ${second}`).toBe(true)
    }
    const seen = new Set(life.anomalies.map(({ anomalyId }) => anomalyId))
    expect([...seen].toSorted((a, b) => a - b)).toEqual(defaultAnomalies.map(({ id }) => id))
  })
})

test('names have as many digits as the fleet needs', () => {
  expect(vehicleNames(2)).toEqual(['van-001', 'van-002'])
  expect(vehicleNames(100_000).at(-1)).toBe('van-100000')
  expect(new Set(vehicleNames(100_000).map(({ length }) => length))).toEqual(new Set([10]))
})
