import { defaultAnomalies, defaultSensors } from '@flasktoria/contracts/catalogue'
import { positionSensor, type AnomalyRecord, type SensorRecord } from '@flasktoria/contracts/records'
import { Drive, type Orders } from './drive.ts'
import { Random } from './random.ts'
import { drawTrouble, type Gauges, type Trouble } from './trouble.ts'

export type SimulatedRecord = { form: 'sensor'; record: SensorRecord } | { form: 'anomaly'; record: AnomalyRecord }

const normalTire = 235
const idleRpm = 800
const calm: Orders = { haste: 1, isPanicking: false, isHolding: false }
/** Where the automatic gearbox shifts, km/h. */
const shifts = [0, 14, 28, 45, 66, 140]
const fullBraking = 9
const labels = new Map([...defaultSensors.map(({ id, name }) => [id, name] as const), [positionSensor, 'GPS']])

/** A vehicle of the simulated fleet. The same seed gives the same life, whatever the clock says. */
export class SimulatedVehicle {
  readonly id: string
  readonly #random: Random
  readonly #drive: Drive
  readonly #gauges: Gauges
  readonly #habitualAmbient: number
  #seconds: number
  #isRefuelling = false
  #trouble: { trouble: Trouble; second: number; isReported: boolean } | undefined

  constructor(id: string, seed: number) {
    const random = new Random(seed)
    this.id = id
    this.#random = random
    this.#drive = new Drive(random)
    this.#habitualAmbient = random.between(9, 13)
    this.#gauges = {
      speedKmh: 0,
      limitKmh: this.#drive.limitKmh,
      rpm: idleRpm,
      fuel: random.between(30, 95),
      coolant: random.between(70, 92),
      ambient: this.#habitualAmbient,
      tires: [normalTire, normalTire, normalTire, normalTire],
      braking: 0,
    }
    // Not every vehicle reports its slow sensors in the same second.
    this.#seconds = random.integer(60)
  }

  get hasTrouble(): boolean {
    return this.#trouble !== undefined
  }

  /** From the next second on. */
  beginTrouble(trouble: Trouble = drawTrouble(this.#random)): void {
    this.#trouble = { trouble, second: 0, isReported: false }
  }

  /** Lives one second, which ends at `ts`, and says what was measured. */
  step(ts: number): SimulatedRecord[] {
    this.#seconds += 1
    this.#drive.step({ ...calm, ...this.#trouble?.trouble.orders?.(this.#trouble.second, this.#gauges) })
    this.#measure()
    const anomaly = this.#suffer(ts)
    const records: SimulatedRecord[] = this.#readings().map(([sensor, value]) => this.#sensorRecord(ts, sensor, value))
    if (anomaly) records.push({ form: 'anomaly', record: anomaly })
    return records
  }

  #measure(): void {
    const gauges = this.#gauges
    const { speed, deceleration, limitKmh } = this.#drive
    gauges.speedKmh = speed * 3.6
    gauges.limitKmh = limitKmh
    gauges.braking = Math.min(100, (deceleration / fullBraking) * 100)
    gauges.rpm = speed === 0 ? idleRpm + this.#random.between(-25, 25) : this.#rpmAt(gauges.speedKmh)
    gauges.coolant += (90 - gauges.coolant) * 0.01 + this.#random.between(-0.1, 0.1)
    gauges.ambient += (this.#habitualAmbient - gauges.ambient) * 0.02
    for (const [index, pressure] of gauges.tires.entries())
      gauges.tires[index] = pressure + (this.hasTrouble ? 0 : (normalTire - pressure) * 0.05)
    this.#burn(speed)
  }

  #rpmAt(speedKmh: number): number {
    const gear = Math.max(
      1,
      shifts.findIndex((shift) => speedKmh < shift),
    )
    const [low, high] = [shifts[gear - 1]!, shifts[gear]!]
    return 1_150 + ((speedKmh - low) / (high - low)) * 1_400 + this.#random.between(-30, 30)
  }

  /** A litre an hour to idle, 11 l / 100 km to drive, 60 l in the tank. */
  #burn(speed: number): void {
    const gauges = this.#gauges
    if (gauges.fuel < 10) this.#isRefuelling = true
    if (gauges.fuel > 95) this.#isRefuelling = false
    const litres = 1 / 3_600 + (speed * 11) / 100_000
    gauges.fuel += this.#isRefuelling ? 2 : (-litres / 60) * 100
  }

  #suffer(ts: number): AnomalyRecord | undefined {
    const current = this.#trouble
    if (!current) return undefined
    current.second += 1
    current.trouble.effect?.(this.#gauges, current.second)
    if (current.second > current.trouble.lastsSeconds) this.#trouble = undefined
    if (current.isReported || !current.trouble.isAnomaly(this.#gauges, current.second)) return undefined
    current.isReported = true
    return this.#anomalyRecord(ts, current.trouble)
  }

  /** Fast sensors every second, slow ones now and then. */
  #readings(): [sensor: string, value: string][] {
    const { speedKmh, rpm, braking, fuel, coolant, ambient, tires } = this.#gauges
    const { lat, long } = this.#drive.place
    const readings: [string, string][] = [
      [positionSensor, `[${lat.toFixed(6)},${long.toFixed(6)}]`],
      ['pid_13_mode_1', speedKmh.toFixed(1)],
      ['pid_12_mode_1', rpm.toFixed(0)],
      ['pid_205_mode_1', braking.toFixed(0)],
    ]
    if (this.#seconds % 5 === 0)
      readings.push(
        ['pid_47_mode_1', fuel.toFixed(2)],
        ['pid_5_mode_1', coolant.toFixed(1)],
        ['pid_70_mode_1', ambient.toFixed(1)],
        ['pid_200_mode_1', this.#gear()],
      )
    if (this.#seconds % 10 === 0)
      for (const [index, pressure] of tires.entries()) readings.push([`pid_${201 + index}_mode_1`, pressure.toFixed(1)])
    return readings
  }

  #gear(): string {
    if (this.#drive.isParked) return 'park'
    return this.#gauges.speedKmh > 0 || !this.hasTrouble ? 'drive' : 'neutral'
  }

  #sensorRecord(timestamp: number, sensor: string, value: string): SimulatedRecord {
    const labelled = `${labels.get(sensor) ?? sensor}: ${value}`
    const record = { timestamp, sensor_group: 'obd', sensor, uuid: this.id, value: labelled, src: 'simulator' }
    return { form: 'sensor', record }
  }

  #anomalyRecord(timestamp: number, { anomalyId, sensor }: Trouble): AnomalyRecord {
    const known = defaultAnomalies.find(({ id }) => id === anomalyId)
    return {
      timestamp,
      detection_time: timeText(timestamp),
      confirmation_time: timeText(timestamp + 2_000),
      sensor_group: 'obd',
      sensor,
      uuid: this.id,
      anomaly_id: anomalyId,
      rootCause: known?.cause ?? '',
      recommendation: known?.actions.join('/') ?? '',
      src: 'simulator',
    }
  }
}

const timeText = (ts: number): string => new Date(ts).toISOString().slice(0, 19).replace('T', ' ')
