import * as fc from 'fast-check'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { anomalyProfile, sensorProfile, sensorV5Profile } from './built-in-profiles.ts'
import { encodeRecord } from './encode.ts'
import { createInterpreter } from './interpret.ts'
import { readRecording } from './recording.ts'
import { refusingTeleports } from './teleports.ts'
import type { TopicProfile } from './topic-profile.ts'
import type { Fact } from './validate.ts'

const inputs = Number(process.env['FUZZ_INPUTS'] ?? 100_000)
const earliestTs = Date.UTC(2000, 0, 1)
const now = Date.UTC(2026, 5, 1)
const maxAheadMs = 300_000
const maxSpeedKmh = 300
const recordings = process.env['RECORDINGS_DIR']

type Sample = { profile: TopicProfile; value: Buffer }

const common = { sensor_group: 'obd', uuid: '1f0b8a52-63b1-4d2e-9f3c-0a6d7e5b4c21', src: 'gateway-7' }
const sensorSample = (sensor: string, value: string, uuid = common.uuid): Sample => ({
  profile: sensorProfile,
  value: encodeRecord.sensor({ ...common, uuid, timestamp: now - 1_000, sensor, value }),
})
const texts = { detection_time: '2026-05-31 23:59:00', confirmation_time: '2026-05-31 23:59:30' }
const advice = { rootCause: 'Thermostat stuck', recommendation: 'Stop, let it cool' }
const typical: Sample[] = [
  sensorSample('gps_coordinates', 'GPS Position: [48.208174,16.373819]'),
  sensorSample('gps_coordinates', 'GPS Position: [-33.868820,151.209296]'),
  sensorSample('pid_13_mode_1', 'Vehicle Speed: 27.36'),
  sensorSample('pid_200_mode_1', 'Gear Selection: drive'),
  {
    profile: sensorV5Profile('UTC'),
    value: encodeRecord['sensor-v5']({
      timestamp: '2026-05-31 12:00:00',
      sensor_group: 'obd',
      sensor: 'pid_5_mode_1',
      uuid: common.uuid,
      value: 'Coolant: 88',
    }),
  },
  {
    profile: anomalyProfile,
    value: encodeRecord.anomaly({
      ...common,
      ...texts,
      ...advice,
      timestamp: now,
      sensor: 'pid_5_mode_1',
      anomaly_id: 3,
    }),
  },
]

/** Said here a second time, and in another way than in validate.ts: by hand, from what an operator would call senseless. */
function complaintAbout(fact: Fact): string | undefined {
  if (!(fact.ts >= earliestTs && fact.ts <= now + maxAheadMs)) return `time ${fact.ts}`
  const ids = fact.kind === 'reading' ? [fact.vehicle, fact.sensor] : [fact.vehicle]
  if (fact.kind === 'anomaly' && fact.sensor !== '') ids.push(fact.sensor)
  for (const id of ids)
    if (id === '' || Array.from(id).length > 128 || /[\p{Cc}\ufffd]/u.test(id.replaceAll(/[\u0080-\u009f]/g, '')))
      return `id ${JSON.stringify(id)}`
  if (fact.kind === 'fix') {
    const { lat, long, text } = fact
    if (!(lat >= -90 && lat <= 90 && long >= -180 && long <= 180)) return `place ${lat}, ${long}`
    if (Math.hypot(lat, long) < 1e-5) return 'the Gulf of Guinea'
    if (JSON.stringify(text.slice(1, -1).split(',').map(Number)) !== JSON.stringify([lat, long])) return `text ${text}`
  } else if (fact.kind === 'reading') {
    const { value, text } = fact
    if (value === null) return /^\p{L}/u.test(text) && !/[\p{Cc}\ufffd<>"&]/u.test(text) ? undefined : `word ${text}`
    if (!Number.isFinite(value) || Math.abs(value) > 1e9 || Number(text) !== value) return `number ${text}`
  } else {
    const { detectionTime, confirmationTime, rootCause, recommendation } = fact
    if (/\ufffd/.test(detectionTime + confirmationTime + rootCause + recommendation)) return 'broken text'
    if (!Number.isInteger(fact.anomalyId)) return `anomaly ${fact.anomalyId}`
  }
  return undefined
}

async function samples(): Promise<Sample[]> {
  if (!recordings) return typical
  const real: Sample[] = []
  for await (const row of readRecording(join(recordings, 'real_dev_open.csv.gz'))) {
    if ('vehicle' in row && real.length < 5_000) real.push(sensorSample(row.sensor, `label: ${row.value}`, row.vehicle))
  }
  return [...typical, ...real]
}

/** Each input is told with its bytes, so that it can be made again. */
function flip(all: readonly Sample[], judge: (sample: Sample, flipped: Buffer) => string | undefined): string[] {
  const complaints: string[] = []
  const flips = fc.array(fc.nat(), { minLength: 1, maxLength: 3 })
  fc.assert(
    fc.property(fc.nat(all.length - 1), flips, (index, bits) => {
      const sample = all[index]!
      const flipped = Buffer.from(sample.value)
      for (const bit of bits) flipped[(bit >> 3) % flipped.length]! ^= 1 << (bit & 7)
      const complaint = judge(sample, flipped)
      if (complaint !== undefined) complaints.push(`${complaint} of ${sample.profile.name} ${flipped.toString('hex')}`)
    }),
    { numRuns: inputs },
  )
  return complaints
}

test(
  `of ${inputs} records with one to three flipped bits none throws, and none that makes no sense is accepted (with RECORDINGS_DIR of real ones too)`,
  { timeout: 600_000 },
  async () => {
    const interpret = createInterpreter({ earliestTs, maxAheadMs })
    const outcomes = new Set<string>()
    const complaints = flip(await samples(), ({ profile }, value) => {
      const interpreted = interpret({ profile, value }, now)
      outcomes.add(interpreted.ok ? 'accepted' : interpreted.reason)
      return interpreted.ok ? complaintAbout(interpreted.fact) : undefined
    })
    expect(complaints).toEqual([])
    const expected = ['accepted', 'malformed', 'in_future', 'too_old', 'bad_vehicle_id', 'no_label', 'bad_position']
    expect([...outcomes]).toEqual(expect.arrayContaining([...expected, 'out_of_range', 'bad_text', 'bad_value']))
  },
)

test(
  `of ${inputs} positions with flipped bits none shows a vehicle further away than it could drive`,
  { timeout: 600_000 },
  () => {
    const plain = createInterpreter({ earliestTs, maxAheadMs })
    const [position] = typical as [Sample]
    const [lat, long, ts] = [48.208174, 16.373819, now - 1_000]
    let refused = 0
    const complaints = flip([position], (_, value) => {
      const interpret = refusingTeleports(plain, maxSpeedKmh)
      interpret(position, now)
      const interpreted = interpret({ profile: sensorProfile, value }, now)
      if (!interpreted.ok && interpreted.reason === 'teleport') refused++
      if (!interpreted.ok || interpreted.fact.kind !== 'fix' || interpreted.fact.vehicle !== common.uuid)
        return undefined
      const there = interpreted.fact
      const hours = Math.abs(there.ts - ts) / 3_600_000
      const kmNorth = 111.2 * Math.abs(there.lat - lat)
      const kmEast = 111.2 * Math.abs(there.long - long) * Math.cos((Math.max(lat, there.lat) * Math.PI) / 180)
      // By rule of thumb: the way straight north, or straight east where meridians are nearest, is no longer than the way.
      return Math.max(kmNorth, kmEast) > 1.01 + maxSpeedKmh * hours * 1.01 ? `${kmNorth} km, ${kmEast} km` : undefined
    })
    expect(complaints).toEqual([])
    expect(refused).toBeGreaterThan(inputs / 1_000)
  },
)
