import { join } from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { sensorProfile } from './built-in-profiles.ts'
import { encodeRecord } from './encode.ts'
import { createInterpreter } from './interpret.ts'
import { readRecording } from './recording.ts'
import { refusingTeleports, Teleports } from './teleports.ts'
import type { Fix } from './validate.ts'

type Spot = readonly [lat: number, long: number]
const vienna: Spot = [48.2082, 16.3738]
const graz: Spot = [47.0707, 15.4395]
const linz: Spot = [48.3069, 14.2858]
const second = 1_000
const hour = 3_600 * second

const fixAt = ([lat, long]: Spot, ts: number, vehicle = 'v'): Fix => ({ kind: 'fix', vehicle, ts, lat, long, text: '' })

/** What becomes of the fixes of a vehicle; true: refused. */
const judge = (fixes: readonly (readonly [Spot, number])[], maxSpeedKmh = 300) => {
  const teleports = new Teleports(maxSpeedKmh)
  return fixes.map(([spot, ts]) => teleports.has(fixAt(spot, ts)))
}

describe('one wrong position', () => {
  test('is refused, and the vehicle goes on where it was', () => {
    expect(judge([vienna, graz, vienna, graz].map((spot, index) => [spot, index * second]))).toEqual([
      false,
      true,
      false,
      true,
    ])
  })

  test('is refused again when its record comes again', () => {
    expect(
      judge([
        [vienna, 0],
        [graz, second],
        [graz, second],
        [graz, second],
      ]),
    ).toEqual([false, true, true, true])
  })

  test('is refused also when it arrives behind newer ones', () => {
    expect(
      judge([
        [vienna, 0],
        [vienna, 10 * second],
        [graz, 5 * second],
        [graz, 6 * second],
        [vienna, 11 * second],
      ]),
    ).toEqual([false, false, true, true, false])
  })

  test('and another one elsewhere confirm nothing', () => {
    expect(judge([vienna, graz, linz, graz, vienna].map((spot, index) => [spot, index * second]))).toEqual([
      false,
      true,
      true,
      true,
      false,
    ])
  })
})

describe('a vehicle that is elsewhere', () => {
  test('is back with its second fix from there', () => {
    expect(judge([vienna, graz, graz, graz].map((spot, index) => [spot, index * second]))).toEqual([
      false,
      true,
      false,
      false,
    ])
  })

  test('is back at once when it had the time to get there', () => {
    // 145 km as the crow flies.
    expect(judge([[vienna, 0], [graz, hour]])).toEqual([false, false]) // prettier-ignore
    expect(judge([[vienna, 0], [graz, hour]], 140)).toEqual([false, true]) // prettier-ignore
    expect(judge([[vienna, 0], [graz, hour]], 150)).toEqual([false, false]) // prettier-ignore
  })

  test('does not stay where only its first, wrong, fix was', () => {
    expect(judge([[-60, 170], vienna, vienna].map((spot, index) => [spot as Spot, index * second]))).toEqual([
      false,
      true,
      false,
    ])
  })

  test('is not moved back by late fixes of the old place', () => {
    expect(
      judge([
        [vienna, 0],
        [graz, 10 * second],
        [graz, 11 * second],
        [vienna, 1 * second],
        [vienna, 2 * second],
        [graz, 12 * second],
      ]),
    ).toEqual([false, true, false, true, true, false])
  })
})

test('a kilometre is never a teleport, nor is the antimeridian, nor are two vehicles one', () => {
  expect(judge([[vienna, 0], [[vienna[0] + 0.008, vienna[1]], 0]])).toEqual([false, false]) // prettier-ignore
  expect(judge([[[-17, 179.9999], 0], [[-17, -179.9999], second]])).toEqual([false, false]) // prettier-ignore
  const teleports = new Teleports(300)
  expect([fixAt(vienna, 0, 'a'), fixAt(graz, 1, 'b')].map((fix) => teleports.has(fix))).toEqual([false, false])
})

test('the vehicles that are remembered are bounded; one that was forgotten begins anew', () => {
  const teleports = new Teleports(300, 10)
  teleports.has(fixAt(vienna, 0))
  for (let index = 0; index < 20; index++) teleports.has(fixAt(linz, 0, String(index)))
  expect(teleports.has(fixAt(graz, second))).toBe(false)
})

test(
  'whatever a fleet drives is believed, in any order; single wrong positions among it never are',
  { timeout: 30_000 },
  () => {
    const step = fc.record({
      ms: fc.integer({ min: 200, max: 60_000 }),
      course: fc.double({ min: 0, max: 2 * Math.PI, noNaN: true }),
      kmh: fc.integer({ min: 0, max: 250 }),
      glitch: fc.option(fc.record({ lat: fc.integer({ min: 5, max: 40 }), long: fc.integer({ min: 5, max: 90 }) })),
      isLate: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 40 }), (steps) => {
        const teleports = new Teleports(300)
        let [lat, long, ts] = [48, 16, 0]
        let held: { fix: Fix; isWrong: boolean } | undefined
        let mayErr = true
        const tell = ({ fix, isWrong }: { fix: Fix; isWrong: boolean }) => expect(teleports.has(fix)).toBe(isWrong)
        tell({ fix: fixAt([lat, long], ts), isWrong: false })
        for (const { ms, course, kmh, glitch, isLate } of steps) {
          ts += ms
          const degrees = (kmh * ms) / 3_600 / 111_320
          lat += degrees * Math.cos(course)
          long += (degrees * Math.sin(course)) / Math.cos((48.5 * Math.PI) / 180)
          // Two wrong ones could agree, if no right one came in between.
          const now =
            glitch && mayErr
              ? { fix: fixAt([lat - glitch.lat, long + glitch.long], ts), isWrong: true }
              : { fix: fixAt([lat, long], ts), isWrong: false }
          if (now.isWrong) mayErr = false
          if (isLate && !held) held = now
          else {
            tell(now)
            if (!now.isWrong) mayErr = true
            if (held && !now.isWrong) tell(held)
            held = undefined
          }
        }
      }),
      { numRuns: 1_000 },
    )
  },
)

test('who shows where vehicles are now refuses a teleport; what is no position passes', () => {
  const plain = createInterpreter({ earliestTs: 0, maxAheadMs: hour })
  const interpret = refusingTeleports(plain, 300)
  const read = (ask: typeof plain, sensor: string, value: string, timestamp: number) => {
    const fields = { timestamp: hour + timestamp, sensor_group: 'g', sensor, uuid: 'v', value: `l: ${value}`, src: 's' }
    const interpreted = ask({ profile: sensorProfile, value: encodeRecord.sensor(fields) }, hour)
    return interpreted.ok ? interpreted.fact.kind : interpreted.reason
  }
  expect(read(interpret, 'gps_coordinates', '[48,16]', 0)).toBe('fix')
  expect(read(interpret, 'gps_coordinates', '[47,15]', second)).toBe('teleport')
  expect(read(plain, 'gps_coordinates', '[47,15]', second)).toBe('fix')
  expect(read(interpret, 'pid_13_mode_1', '5', second)).toBe('reading')
  expect(read(interpret, 'gps_coordinates', '[0,0]', second)).toBe('no_fix')
})

const recordings = process.env['RECORDINGS_DIR']

test.skipIf(!recordings)(
  'real vehicles do not teleport, but for what they report themselves (RECORDINGS_DIR)',
  async () => {
    const teleports = new Teleports(300)
    let [fixes, refused] = [0, 0]
    for await (const row of readRecording(join(recordings!, 'real_dev_open.csv.gz'))) {
      if ('problem' in row || row.sensor !== 'gps_coordinates') continue
      const [lat = 0, long = 0] = JSON.parse(row.value) as number[]
      if (lat === 0 || Math.abs(lat) > 90 || Math.abs(long) > 180) continue
      fixes++
      if (teleports.has(fixAt([lat, long], row.ts, row.vehicle))) refused++
    }
    expect(fixes).toBeGreaterThan(80_000)
    expect(refused).toBe(1)
  },
)
