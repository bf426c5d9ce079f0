import { z } from 'zod'
import { vehicleIdSchema } from './identifiers.ts'
import type { Operation } from './operation.ts'
import {
  cursorSchema,
  endShape,
  instantSchema,
  integerSchema,
  periodShape,
  rowForms,
  vehicleParams,
  warehouseProblems,
} from './rest-v1.ts'
import { timestampSchema } from './updates.ts'

export const maxTrackPoints = 50_000
export const maxTrips = 1_000
export const maxVehicles = 10_000
export const rankings = ['idle', 'distance', 'fuel', 'overspeed'] as const
export type Ranking = (typeof rankings)[number]

/** A decimal number in the query. */
const decimalSchema = (min: number, max: number) =>
  z
    .string()
    .regex(/^-?\d{1,9}(?:\.\d{1,15})?$/)
    .transform(Number)
    .pipe(z.number().min(min).max(max))
    .meta({ type: 'number', pattern: undefined, minimum: min, maximum: max })

const gapSchema = integerSchema(1, 86_400)
  .optional()
  .meta({ description: 'Seconds; who said nothing for longer was away. Default: 300.' })
const vehicleLimitSchema = integerSchema(1, maxVehicles)
  .optional()
  .meta({ description: `Most vehicles of the answer; absent: ${maxVehicles}.` })

const placeShape = {
  lat: z.number().meta({ description: 'Degrees.' }),
  long: z.number().meta({ description: 'Degrees.' }),
}
const fixSchema = z.object({ timestamp: timestampSchema, ...placeShape })

const coordinatesSchema = z.array(z.number()).meta({ description: 'Longitude, latitude.' })
const pointsSchema = <P extends z.ZodType>(properties: P) =>
  z.object({
    type: z.literal('FeatureCollection'),
    features: z.array(
      z.object({
        type: z.literal('Feature'),
        geometry: z.object({ type: z.literal('Point'), coordinates: coordinatesSchema }),
        properties,
      }),
    ),
    ...endShape,
  })

const trackPointSchema = z
  .object({
    segment: z.int().meta({ description: 'Counted from 0. Between two segments there is a gap.' }),
    ...fixSchema.shape,
  })
  .meta({ id: 'TrackPoint' })
const trackShape = {
  vehicle: vehicleIdSchema,
  from: timestampSchema,
  to: timestampSchema,
  toleranceMetres: z.number().meta({
    description: 'No position that counts lies further from the track; more than asked for if `maxPoints` was.',
  }),
  implausible: z.int().meta({
    description:
      'How many positions do not count: the vehicle could not have come there at 300 km/h, and never was there again.',
  }),
}

const stopSchema = z.object({ ...placeShape, from: timestampSchema, to: timestampSchema })
export const tripSchema = z
  .object({
    start: fixSchema,
    end: fixSchema,
    hasEnded: z.boolean().meta({ description: 'False: it was under way at the end of the period.' }),
    distanceMetres: z.number().meta({ description: 'From position to position.' }),
    durationSeconds: z.number(),
    movingSeconds: z.number().meta({ description: 'Without the stops.' }),
    stops: z.array(stopSchema),
  })
  .meta({ id: 'Trip' })
export type TripRow = z.infer<typeof tripSchema>

const placeOfVehicleSchema = z
  .object({ vehicle: vehicleIdSchema, ...fixSchema.shape })
  .meta({ id: 'VehiclePlace', description: 'Where a vehicle was.' })

const visitorSchema = z
  .object({
    vehicle: vehicleIdSchema,
    first: timestampSchema.meta({ description: 'When it was first seen inside.' }),
    last: timestampSchema.meta({ description: 'When it was last seen inside.' }),
    fixes: z.int().meta({ description: 'How many positions lie inside.' }),
    visits: z.int().meta({ description: 'How often it came: not seen inside for longer than `gap`, it came anew.' }),
    lat: z.number().meta({ description: 'Where it was at `last`.' }),
    long: z.number(),
  })
  .meta({ id: 'Visitor', description: 'A vehicle that was in the box.' })

export const vehicleUseSchema = z
  .object({
    vehicle: vehicleIdSchema,
    speedReadings: z
      .int()
      .meta({ description: 'On which all but the fuel is built. A reading is true until the next one.' }),
    movingSeconds: z.number().meta({ description: 'Faster than 1 km/h.' }),
    idleSeconds: z
      .number()
      .meta({ description: 'Not faster than 1 km/h, but reporting: switched off, it says nothing.' }),
    distanceMetres: z.number().meta({ description: 'Speed summed up over time.' }),
    maxSpeedKmh: z.number().nullable(),
    overspeedSeconds: z.number().meta({ description: 'Faster than `speedLimit`.' }),
    overspeedCount: z.int().meta({ description: 'How often it became faster than `speedLimit`.' }),
    overspeedShare: z.number().nullable().meta({ description: 'Of the moving time, 0 to 1.' }),
    fuelUsed: z.number().nullable().meta({
      description:
        'What the fuel level (pid_47_mode_1) fell by, as means of 5 minutes and without the fillings, in its unit: percent of the tank.',
    }),
    fuelFilled: z.number().nullable().meta({ description: 'Rises by 5 and more from one mean to the next.' }),
    fillings: z.int().nullable(),
  })
  .meta({ id: 'VehicleUse', description: 'How a vehicle was used in a period.' })
export type VehicleUse = z.infer<typeof vehicleUseSchema>

const useShape = {
  ...periodShape,
  speedLimit: integerSchema(1, 400).optional().meta({ description: 'km/h. Default: 100.' }),
  gap: gapSchema,
}

const problems = ['invalid_parameter', ...warehouseProblems] as const
const negotiatedProblems = [...problems, 'not_acceptable'] as const

export const positionOperations = {
  getVehicleTrack: {
    method: 'get',
    path: '/api/v1/vehicles/{vehicle_id}/track',
    tag: 'history',
    summary: 'Where a vehicle drove in a period, simplified, and in segments where it was silent.',
    request: {
      params: vehicleParams,
      query: z.object({
        ...periodShape,
        tolerance: decimalSchema(0, 100_000)
          .optional()
          .meta({ description: 'Metres that a position may lie off the track. Default: 10; 0: each bend is kept.' }),
        maxPoints: integerSchema(2, maxTrackPoints)
          .optional()
          .meta({ description: 'Most points: the tolerance grows until it is kept. Default: 2000.' }),
        gap: gapSchema,
        cursor: cursorSchema.optional(),
      }),
    },
    ok: {
      description: 'The track, oldest point first.',
      schema: z.object({ ...trackShape, rows: z.array(trackPointSchema), ...endShape }).meta({ id: 'VehicleTrack' }),
      otherForms: {
        geojson: z.object({
          type: z.literal('Feature'),
          geometry: z.object({
            type: z.literal('MultiLineString'),
            coordinates: z.array(z.array(coordinatesSchema)).meta({ description: 'A lone point stands twice.' }),
          }),
          properties: z.object({
            ...trackShape,
            times: z.array(z.array(timestampSchema)).meta({ description: 'One for each of the coordinates.' }),
            ...endShape,
          }),
        }),
        ...rowForms(trackPointSchema),
      },
    },
    problems: negotiatedProblems,
  },
  getVehicleTrips: {
    method: 'get',
    path: '/api/v1/vehicles/{vehicle_id}/trips',
    tag: 'history',
    summary: 'The trips of a vehicle in a period: where from, where to, how far, how long, and where it stopped.',
    request: {
      params: vehicleParams,
      query: z.object({
        ...periodShape,
        stop: integerSchema(10, 86_400)
          .optional()
          .meta({ description: 'Seconds; who stands within 50 metres for so long has stopped. Default: 120.' }),
        park: integerSchema(10, 86_400)
          .optional()
          .meta({ description: 'Seconds; who stands for so long has ended the trip. Default: 900.' }),
        gap: gapSchema.meta({ description: 'Seconds; who says nothing for longer has ended the trip. Default: 300.' }),
        limit: integerSchema(1, maxTrips)
          .optional()
          .meta({ description: `Most trips of the answer; absent: ${maxTrips}.` }),
        cursor: cursorSchema.optional(),
      }),
    },
    ok: {
      description:
        'The trips, oldest first. A way that leads no further than 200 metres from its start is none: receivers are not better.',
      schema: z
        .object({
          vehicle: vehicleIdSchema,
          from: timestampSchema,
          to: timestampSchema,
          implausible: trackShape.implausible,
          rows: z.array(tripSchema),
          ...endShape,
        })
        .meta({ id: 'VehicleTrips' }),
    },
    problems,
  },
  getVehicleStats: {
    method: 'get',
    path: '/api/v1/vehicles/{vehicle_id}/stats',
    tag: 'history',
    summary: 'How a vehicle was used in a period: moving, idle, too fast, how far, with how much fuel.',
    request: { params: vehicleParams, query: z.object(useShape) },
    ok: {
      description: 'The sums. Zero and null where it reported nothing.',
      schema: z
        .object({
          from: timestampSchema,
          to: timestampSchema,
          ...vehicleUseSchema.shape,
          coverage: endShape.coverage,
        })
        .meta({ id: 'VehicleStats' }),
    },
    problems,
  },
  getStats: {
    method: 'get',
    path: '/api/v1/stats',
    tag: 'history',
    summary: 'How each vehicle was used in a period, those first that lead.',
    request: {
      query: z.object({
        ...useShape,
        order: z
          .enum(rankings)
          .optional()
          .meta({ description: 'What leads: `idle` time (default), `distance`, `fuel` used, `overspeed` time.' }),
        limit: vehicleLimitSchema,
      }),
    },
    ok: {
      description: 'The vehicles, the greatest first. `truncated`: there are more; `next` is always null.',
      schema: z
        .object({ from: timestampSchema, to: timestampSchema, rows: z.array(vehicleUseSchema), ...endShape })
        .meta({ id: 'FleetStats' }),
      otherForms: rowForms(vehicleUseSchema),
    },
    problems: negotiatedProblems,
  },
  getFleet: {
    method: 'get',
    path: '/api/v1/fleet',
    tag: 'history',
    summary: 'Where each vehicle was at a time: its last position until then.',
    request: {
      query: z.object({
        at: instantSchema
          .optional()
          .meta({ description: 'Epoch milliseconds or RFC 3339. Now if absent or in the future.' }),
        maxAge: integerSchema(1, 366 * 86_400)
          .optional()
          .meta({ description: 'Seconds; older positions do not count. Default: 3600.' }),
        limit: vehicleLimitSchema,
        cursor: cursorSchema.optional(),
      }),
    },
    ok: {
      description: 'The vehicles in the order of their ids.',
      schema: z
        .object({ at: timestampSchema, rows: z.array(placeOfVehicleSchema), ...endShape })
        .meta({ id: 'FleetAt' }),
      otherForms: {
        geojson: pointsSchema(placeOfVehicleSchema.omit({ lat: true, long: true })),
        ...rowForms(placeOfVehicleSchema),
      },
    },
    problems: negotiatedProblems,
  },
  getHistoryBbox: {
    method: 'get',
    path: '/api/v1/history/bbox',
    tag: 'history',
    summary: 'Who was in a box between two times.',
    request: {
      query: z.object({
        west: decimalSchema(-180, 180).meta({ description: 'Degrees. Beyond `east`, the box spans the antimeridian.' }),
        south: decimalSchema(-90, 90),
        east: decimalSchema(-180, 180),
        north: decimalSchema(-90, 90),
        ...periodShape,
        gap: gapSchema,
        limit: vehicleLimitSchema,
        cursor: cursorSchema.optional(),
      }),
    },
    ok: {
      description: 'The vehicles with a position inside, edges included, in the order of their ids.',
      schema: z
        .object({ from: timestampSchema, to: timestampSchema, rows: z.array(visitorSchema), ...endShape })
        .meta({ id: 'Visitors' }),
      otherForms: {
        geojson: pointsSchema(visitorSchema.omit({ lat: true, long: true })),
        ...rowForms(visitorSchema),
      },
    },
    problems: negotiatedProblems,
  },
} as const satisfies Record<string, Operation>
