import { z } from 'zod'
import { sensorIdSchema, vehicleIdSchema } from './identifiers.ts'
import type { Operation } from './operation.ts'
import { errorSchema, type ProblemCode } from './problems.ts'
import { warehouseProblems } from './rest-v1.ts'
import { anomalyOperations } from './rest-v1-anomalies.ts'
import { historyOperations } from './rest-v1-history.ts'
import { positionOperations } from './rest-v1-positions.ts'
import { anomalyListingSchema, timeValueSchema } from './updates.ts'

export const vehicleOverviewSchema = z
  .object({
    name: z.string(),
    id: vehicleIdSchema,
    lat: z.number(),
    long: z.number(),
    status: z.string(),
    timestamp: z.int().optional().meta({ description: 'Time of the position, epoch milliseconds.' }),
  })
  .meta({ id: 'VehicleOverview' })
export type VehicleOverview = z.infer<typeof vehicleOverviewSchema>

export const fleetMapSchema = z
  .object({
    vehicles: z.array(vehicleOverviewSchema),
    updateWebSocket: z
      .string()
      .meta({ description: 'Absolute URL of the live socket; its `client` is the id that mutes belong to.' }),
  })
  .meta({ id: 'FleetMap' })
export type FleetMap = z.infer<typeof fleetMapSchema>

export const sensorDescriptorSchema = z
  .object({
    sensor_id: sensorIdSchema,
    sensor_name: z.string(),
    unit: z.string().optional(),
    low: z.number().optional().meta({ description: 'Below it the status is `low`.' }),
    high: z.number().optional().meta({ description: 'Above it the status is `high`.' }),
  })
  .meta({ id: 'SensorDescriptor' })
export type SensorDescriptor = z.infer<typeof sensorDescriptorSchema>

export const vehicleDetailsSchema = z
  .object({
    name: z.string(),
    status: z.string(),
    sensors: z.array(sensorDescriptorSchema),
    sensordata: z.object({
      fuel: z.array(timeValueSchema),
      speed: z.array(timeValueSchema),
      kpi: z.array(timeValueSchema).meta({ description: 'Never defined; always empty.' }),
    }),
  })
  .meta({ id: 'VehicleDetails' })
export type VehicleDetails = z.infer<typeof vehicleDetailsSchema>

export const sensorSeriesSchema = z
  .record(z.string(), z.array(timeValueSchema))
  .meta({ id: 'SensorSeries', description: 'One key per requested sensor id; readings newest first.' })
export type SensorSeries = z.infer<typeof sensorSeriesSchema>

const indexValueSchema = z.object({ why: z.string(), value: z.number() }).meta({ id: 'IndexValue' })
export const indexObjectSchema = z
  .object({ day: indexValueSchema, week: indexValueSchema, month: indexValueSchema })
  .meta({ id: 'IndexObject' })
export type IndexObject = z.infer<typeof indexObjectSchema>

export const vehicleCostSchema = z
  .object({ cost_index: indexObjectSchema, efficiency_index: indexObjectSchema })
  .meta({ id: 'VehicleCost' })
export type VehicleCost = z.infer<typeof vehicleCostSchema>

export const wsctlRequestSchema = z
  .object({
    action: z.enum(['start', 'stop']),
    update_type: z.enum(['position', 'sensordata', 'sensorstatus']).meta({ description: 'Anomalies cannot be muted.' }),
    vehicle_id: vehicleIdSchema,
    sensor_id: z.union([z.literal(''), sensorIdSchema]).meta({ description: 'Empty: every sensor of the vehicle.' }),
  })
  .meta({ id: 'WsctlRequest' })
export type WsctlRequest = z.infer<typeof wsctlRequestSchema>
/** More items in one call are refused with 400. */
export const maxWsctlRequests = 1_000
export const wsctlResponseSchema = z.object({ success: z.boolean() }).meta({ id: 'WsctlResponse' })

/** Epoch milliseconds as text. Integers of any length are integers. */
export const timestampTextSchema = z
  .string()
  .regex(/^-?\d+$/)
  .meta({ description: 'Epoch milliseconds, UTC, as text.', example: '1490072404000' })

const jsonContent = <S extends z.ZodType>(description: string, schema: S) => ({ description, schema })

/** What every operation may answer beside what it lists: these come from the edge or from a fault. */
export const commonProblems = [
  'not_found',
  'method_not_allowed',
  'too_many_requests',
  'internal',
  'bad_gateway',
  'unavailable',
] as const satisfies ProblemCode[]

/**
 * The REST operations as plain data: the routes of query-api, the typed client and openapi.json are all made of this.
 */
export const operations = {
  getMap: {
    method: 'get',
    path: '/api/map',
    tag: 'live',
    summary: 'Every vehicle with a position in the last 5 minutes, and where the live socket is.',
    request: {},
    ok: jsonContent('The fleet on the map. Sets the `flasktoria_client` cookie.', fleetMapSchema),
    problems: ['invalid_request'],
  },
  getVehicle: {
    method: 'get',
    path: '/api/vehicle/{vehicle_id}',
    tag: 'live',
    summary: 'A vehicle: its sensors, and fuel and speed of the last 60 seconds.',
    request: { params: z.object({ vehicle_id: vehicleIdSchema }) },
    ok: jsonContent('The vehicle. An unknown or silent one has empty series.', vehicleDetailsSchema),
    problems: ['invalid_parameter'],
  },
  getSensordata: {
    method: 'get',
    path: '/api/sensordata/{vehicle_id}',
    tag: 'history',
    summary: 'Readings of some sensors of a vehicle in a period, newest first, both ends included.',
    request: {
      params: z.object({ vehicle_id: vehicleIdSchema }),
      query: z.object({
        sensor_ids: z.string().min(1).meta({ description: 'Sensor ids, comma separated.' }),
        start_ts: timestampTextSchema,
        end_ts: timestampTextSchema.optional().meta({ description: 'Now if absent or in the future.' }),
      }),
    },
    ok: jsonContent('The readings by sensor id.', sensorSeriesSchema),
    problems: ['invalid_parameter', ...warehouseProblems],
  },
  getAnomalies: {
    method: 'get',
    path: '/api/anomalies',
    tag: 'history',
    summary: 'Anomalies of the fleet in a period, newest first.',
    request: { query: z.object({ start_ts: timestampTextSchema, end_ts: timestampTextSchema.optional() }) },
    ok: jsonContent('The anomalies whose id is in the catalogue.', z.array(anomalyListingSchema)),
    problems: ['invalid_parameter', ...warehouseProblems],
  },
  getCost: {
    method: 'get',
    path: '/api/cost/{vehicle_id}',
    tag: 'history',
    summary: 'What the anomalies of a vehicle cost, and how efficiently it is used, over a day, a week and a month.',
    request: { params: z.object({ vehicle_id: vehicleIdSchema }) },
    ok: jsonContent('The two indexes.', vehicleCostSchema),
    problems: ['invalid_parameter', ...warehouseProblems],
  },
  controlSocket: {
    method: 'post',
    path: '/api/wsctl',
    tag: 'live',
    summary: 'Mute (`stop`) or unmute (`start`) updates on the live sockets of the client that asks.',
    request: {
      query: z.object({
        client: z.string().optional().meta({ description: 'The client id, for clients without cookies.' }),
      }),
      body: z.array(wsctlRequestSchema).max(maxWsctlRequests),
    },
    ok: jsonContent('One result per request, in order.', z.array(wsctlResponseSchema)),
    problems: ['invalid_request', 'invalid_parameter', 'body_too_large'],
  },
  ...historyOperations,
  ...positionOperations,
  ...anomalyOperations,
} as const satisfies Record<string, Operation>

export type OperationId = keyof typeof operations

export { errorSchema, type Operation }
