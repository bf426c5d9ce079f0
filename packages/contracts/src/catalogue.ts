import { z } from 'zod'
import { sensorIdSchema } from './identifiers.ts'
import type { SensorStatus } from './updates.ts'

export const sensorCatalogueSchema = z
  .array(
    z.object({
      id: sensorIdSchema,
      name: z.string().min(1),
      unit: z.string(),
      /** Normal range. Below `low` the status is low, above `high` it is high; without a bound that side is always ok. */
      low: z.number().optional(),
      high: z.number().optional(),
      /** What it can show at all; beyond that it is an error of someone, and such records are refused. */
      min: z.number().optional(),
      max: z.number().optional(),
      /** So far back inside of its range a sensor has to come to be ok again; absent: 2 % of the range, or of its bound. */
      hysteresis: z.number().nonnegative().optional(),
    }),
  )
  .superRefine((sensors, context) => {
    const seen = new Set<string>()
    for (const [index, { id, low, high, min, max }] of sensors.entries()) {
      if (seen.has(id)) context.addIssue({ code: 'custom', path: [index, 'id'], message: `sensor ${id} stands twice` })
      if (low !== undefined && high !== undefined && low > high)
        context.addIssue({ code: 'custom', path: [index, 'low'], message: `the range of ${id} is empty` })
      if (min !== undefined && max !== undefined && min > max)
        context.addIssue({ code: 'custom', path: [index, 'min'], message: `${id} could show nothing` })
      seen.add(id)
    }
  })
export type SensorCatalogue = z.infer<typeof sensorCatalogueSchema>
export type CatalogueSensor = SensorCatalogue[number]

export const severities = ['low', 'medium', 'high'] as const
export type Severity = (typeof severities)[number]

export const anomalyCatalogueSchema = z
  .array(
    z.object({
      id: z.int(),
      description: z.string().min(1),
      cause: z.string(),
      actions: z.array(z.string()),
      downtimeMinutes: z.number().nonnegative(),
      costImpact: z.number().nonnegative(),
      /** Absent: medium. */
      severity: z.enum(severities).optional(),
      sensors: z.array(sensorIdSchema),
    }),
  )
  .superRefine((anomalies, context) => {
    const seen = new Set<number>()
    for (const [index, { id }] of anomalies.entries()) {
      if (seen.has(id)) context.addIssue({ code: 'custom', path: [index, 'id'], message: `anomaly ${id} stands twice` })
      seen.add(id)
    }
  })
export type AnomalyCatalogue = z.infer<typeof anomalyCatalogueSchema>
export type CatalogueAnomaly = AnomalyCatalogue[number]

export const severityOf = ({ severity = 'medium' }: CatalogueAnomaly): Severity => severity

/** Vehicle id → the driver's name. */
export const vehicleNamesSchema = z.record(z.string(), z.string().min(1))
export type VehicleNames = z.infer<typeof vehicleNamesSchema>

/** Falls back to text made from the id. */
export const vehicleName = (names: VehicleNames, id: string): string =>
  Object.hasOwn(names, id) ? names[id]! : `Vehicle ${id}`

export const statusOf = (sensor: CatalogueSensor, value: number): SensorStatus => {
  if (sensor.low !== undefined && value < sensor.low) return 'low'
  if (sensor.high !== undefined && value > sensor.high) return 'high'
  return 'ok'
}

/**
 * The status that a sensor keeps with this value if it has it already, so that one that wavers at a limit does not come and go.
 * Undefined: none.
 */
export function heldStatusOf(sensor: CatalogueSensor, value: number): Exclude<SensorStatus, 'ok'> | undefined {
  const { low, high } = sensor
  if (statusOf(sensor, value) !== 'ok') return undefined
  const span = low !== undefined && high !== undefined ? high - low : Math.abs(low ?? high ?? 0)
  const margin = sensor.hysteresis ?? span * 0.02
  if (low !== undefined && value < low + margin) return 'low'
  return high !== undefined && value > high - margin ? 'high' : undefined
}

/** The sensors of the Smart Transport fleet. Numbers up to 199 are OBD-II PIDs (SAE J1979 mode 1) in decimal. */
export const defaultSensors: SensorCatalogue = [
  { id: 'pid_5_mode_1', name: 'Engine Coolant Temperature', unit: '°C', low: 60, high: 110 },
  { id: 'pid_12_mode_1', name: 'Engine RPM', unit: 'rpm', high: 4500 },
  { id: 'pid_13_mode_1', name: 'Vehicle Speed', unit: 'km/h', high: 120 },
  { id: 'pid_47_mode_1', name: 'Fuel Level', unit: '%', low: 15 },
  { id: 'pid_70_mode_1', name: 'Ambient Air Temperature', unit: '°C', low: -20, high: 45 },
  { id: 'pid_200_mode_1', name: 'Gear Selection', unit: '' },
  { id: 'pid_201_mode_1', name: 'Tire Pressure Left Front', unit: 'kPa', low: 200, high: 280 },
  { id: 'pid_202_mode_1', name: 'Tire Pressure Right Front', unit: 'kPa', low: 200, high: 280 },
  { id: 'pid_203_mode_1', name: 'Tire Pressure Right Rear', unit: 'kPa', low: 200, high: 280 },
  { id: 'pid_204_mode_1', name: 'Tire Pressure Left Rear', unit: 'kPa', low: 200, high: 280 },
  { id: 'pid_205_mode_1', name: 'Braking Force', unit: '%', high: 80 },
]

const tires = ['pid_201_mode_1', 'pid_202_mode_1', 'pid_203_mode_1', 'pid_204_mode_1']
export const defaultAnomalies: AnomalyCatalogue = [
  {
    id: 0,
    description: 'Low tire pressure',
    cause: 'At least one tire is under its normal pressure',
    actions: ['Stop at the next service point', 'Check the tires for damage', 'Inflate to the nominal pressure'],
    downtimeMinutes: 30,
    costImpact: 100,
    sensors: tires,
  },
  {
    id: 1,
    description: 'Excessive braking',
    cause: 'Strong braking at speed, repeatedly',
    actions: ['Talk to the driver', 'Check the brake pads'],
    downtimeMinutes: 30,
    costImpact: 0,
    severity: 'low',
    sensors: ['pid_205_mode_1', 'pid_13_mode_1'],
  },
  {
    id: 2,
    description: 'Careless driving in bad weather',
    cause: 'Too fast for the weather on this road',
    actions: ['Warn the driver', 'Lower the speed limit of the tour'],
    downtimeMinutes: 30,
    costImpact: 0,
    sensors: ['pid_13_mode_1'],
  },
  {
    id: 3,
    description: 'High fuel consumption',
    cause: 'More fuel used than this distance explains',
    actions: ['Check the tire pressure', 'Look for a leak', 'Inspect the injection'],
    downtimeMinutes: 30,
    costImpact: 1000,
    sensors: ['pid_47_mode_1', ...tires],
  },
  {
    id: 4,
    description: 'Engine temperature over the safe limit',
    cause: 'The coolant is hotter than the engine may run',
    actions: ['Stop the engine', 'Let it cool down', 'Check the coolant level'],
    downtimeMinutes: 30,
    costImpact: 20,
    severity: 'high',
    sensors: ['pid_5_mode_1'],
  },
  {
    id: 5,
    description: 'Excessive idling',
    cause: 'The engine ran for long while the vehicle stood',
    actions: ['Ask the driver to switch the engine off', 'Review the waiting times of the tour'],
    downtimeMinutes: 30,
    costImpact: 50,
    severity: 'low',
    sensors: ['pid_12_mode_1', 'pid_13_mode_1'],
  },
]
