import { encodeRecord } from '@flasktoria/kafka-ingest/encode'

export const vehicles = 1_000
/** What a vehicle sends again and again: the recordings' five most frequent sensors. */
const readings: readonly [sensor: string, value: (number: number) => string][] = [
  ['gps_coordinates', place],
  ['pid_13_mode_1', (number) => `Vehicle Speed: ${(number % 1_200) / 10}`],
  ['pid_12_mode_1', (number) => `Engine RPM: ${700 + (number % 2_500)}`],
  ['pid_5_mode_1', (number) => `Engine Coolant Temperature: ${70 + (number % 40)}`],
  ['pid_47_mode_1', (number) => `Fuel Level Input: ${(number % 1_000) / 10}`],
]

/** To and fro on a road of its own, some sixty metres further in each round. */
function place(number: number): string {
  const round = Math.floor(number / (vehicles * readings.length))
  const part = Math.abs((round % 1_000) - 500) / 2_000
  return `GPS: [${(40 + part).toFixed(4)},${(22 + (number % vehicles) / 1e3 + part / 2).toFixed(4)}]`
}

/** The vehicles say one thing after the other, each the same one in a round. `timestamp`: epoch ms. */
export function typicalRecord(number: number, timestamp: number): Buffer {
  const [sensor, value] = readings[Math.floor(number / vehicles) % readings.length]!
  const uuid = `veh-${String(number % vehicles).padStart(4, '0')}`
  return encodeRecord.sensor({ timestamp, sensor_group: 'obd', sensor, uuid, value: value(number), src: 'bench' })
}
