import { z } from 'zod'
import { sensorIdSchema, vehicleIdSchema } from './identifiers.ts'

/** Epoch milliseconds, UTC. */
export const timestampSchema = z.int().meta({ description: 'Epoch milliseconds, UTC.' })

export const timeValueSchema = z
  .object({ timestamp: timestampSchema, value: z.number() })
  .meta({ id: 'TimeValue', description: 'One reading of a sensor.' })
export type TimeValue = z.infer<typeof timeValueSchema>

export const anomalyListingSchema = z
  .object({
    desc: z.string(),
    cost_impact: z.string(),
    vehicle_id: z.string(),
    declared_timestamp: z.string().meta({ description: 'The confirmation time of the record, text as it came.' }),
    detection_timestamp: z.string().meta({ description: 'The detection time of the record, text as it came.' }),
    cause: z.string(),
    actions: z.string().meta({ description: 'Recommended actions, separated by `/`.' }),
    downtime: z.string().meta({ description: 'Expected downtime in minutes.' }),
    anomaly_id: z.int().optional().meta({ description: 'Id in the anomaly catalogue.' }),
    timestamp: timestampSchema.optional(),
  })
  .meta({ id: 'AnomalyListing', description: 'An anomaly as the operator reads it.' })
export type AnomalyListing = z.infer<typeof anomalyListingSchema>

export const positionUpdateSchema = z
  .object({
    update_type: z.literal('position'),
    vehicle_id: vehicleIdSchema,
    lat: z.number().min(-90).max(90),
    long: z.number().min(-180).max(180),
    timestamp: timestampSchema,
  })
  .meta({ id: 'PositionUpdate' })

export const sensordataUpdateSchema = z
  .object({
    update_type: z.literal('sensordata'),
    vehicle_id: vehicleIdSchema,
    sensor_id: sensorIdSchema,
    values: z.array(timeValueSchema).meta({
      description:
        'Newest first: what came since the last update, mostly one, several when they came together. Empty for a sensor that carries words.',
    }),
    value: z.string().meta({ description: 'The newest value as text.' }),
    timestamp: timestampSchema,
  })
  .meta({ id: 'SensordataUpdate' })

export const sensorStatusSchema = z.enum(['low', 'ok', 'high'])
export type SensorStatus = z.infer<typeof sensorStatusSchema>

export const sensorstatusUpdateSchema = z
  .object({
    update_type: z.literal('sensorstatus'),
    vehicle_id: vehicleIdSchema,
    sensor_id: sensorIdSchema,
    value: z.string().meta({ description: 'The new status: `low`, `ok` or `high`.' }),
  })
  .meta({ id: 'SensorstatusUpdate' })

export const vehicleStatusSchema = z.enum(['online', 'stale', 'offline'])
export type VehicleStatus = z.infer<typeof vehicleStatusSchema>

export const vehiclestatusUpdateSchema = z
  .object({
    update_type: z.literal('vehiclestatus'),
    vehicle_id: vehicleIdSchema,
    value: vehicleStatusSchema.meta({
      description: 'Measured by how often this vehicle reports: `stale` when it is overdue, `offline` when it is gone.',
    }),
    timestamp: timestampSchema,
  })
  .meta({ id: 'VehiclestatusUpdate', description: 'Whether a vehicle reports. Sent when that changes.' })

export const anomalyUpdateSchema = anomalyListingSchema
  .extend({ update_type: z.literal('anomaly') })
  .meta({ id: 'AnomalyUpdate' })

export const updateSchema = z
  .discriminatedUnion('update_type', [
    positionUpdateSchema,
    sensordataUpdateSchema,
    sensorstatusUpdateSchema,
    vehiclestatusUpdateSchema,
    anomalyUpdateSchema,
  ])
  .meta({ id: 'Update', description: 'One thing that changed about a vehicle.' })
export type Update = z.infer<typeof updateSchema>
export type PositionUpdate = z.infer<typeof positionUpdateSchema>
export type SensordataUpdate = z.infer<typeof sensordataUpdateSchema>
export type SensorstatusUpdate = z.infer<typeof sensorstatusUpdateSchema>
export type VehiclestatusUpdate = z.infer<typeof vehiclestatusUpdateSchema>
export type AnomalyUpdate = z.infer<typeof anomalyUpdateSchema>

export const updateKinds = ['position', 'sensordata', 'sensorstatus', 'vehiclestatus', 'anomaly'] as const
export const updateKindSchema = z.enum(updateKinds)
export type UpdateKind = z.infer<typeof updateKindSchema>

/** What clients without sub-protocol get: the kinds that the old contract knows. */
export const plainKinds: readonly UpdateKind[] = ['position', 'sensordata', 'sensorstatus', 'anomaly']

/** `merge`: the latest by event time wins per (kind, vehicle, sensor). `event`: each one counts, in order, once. */
export const updateClass: Record<UpdateKind, 'merge' | 'event'> = {
  position: 'merge',
  sensordata: 'merge',
  sensorstatus: 'merge',
  vehiclestatus: 'merge',
  anomaly: 'event',
}
