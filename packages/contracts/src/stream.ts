import { z } from 'zod'
import { sensorIdSchema, vehicleIdSchema } from './identifiers.ts'
import { updateKindSchema, updateSchema } from './updates.ts'

/** The WebSocket sub-protocol. Without it a client gets plain frames: `{"updates":[…]}`, everything, no handshake. */
export const subprotocol = 'flasktoria.v2'

/** Bounds of what one client may ask for; the hub answers an `error` beyond them. */
export const streamLimits = {
  messageBytes: 64 * 1024,
  subscriptions: 16,
  vehiclesPerSubscription: 2_000,
  sensorsPerSubscription: 200,
  messagesPerSecond: 50,
} as const

export const cursorSchema = z.string().max(200).meta({
  description: 'Where a client stands in the live log. Opaque; valid on every hub.',
})

/* ── plain ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

export const plainFrameSchema = z.looseObject({ updates: z.array(updateSchema) }).meta({
  id: 'PlainFrame',
  description: 'What came since the last frame. The only frame of a client without sub-protocol.',
})

/* ── client → server ───────────────────────────────────────────────────────────────────────────────────────────── */

const subscriptionIdSchema = z
  .string()
  .min(1)
  .max(64)
  .meta({ description: 'Chosen by the client, unique in its session.' })

const longitudeSchema = z.number().min(-540).max(540)
const latitudeSchema = z.number().min(-90).max(90)

export const bboxSchema = z
  .tuple([longitudeSchema, latitudeSchema, longitudeSchema, latitudeSchema])
  .refine(([, south, , north]) => south <= north, 'south lies north of north')
  .meta({
    id: 'Bbox',
    description:
      'West, south, east, north in degrees, edges included, as in GeoJSON. West above east spans the antimeridian; a map that was scrolled across it may count on beyond ±180. 360° wide and more is every longitude.',
  })
export type Bbox = z.infer<typeof bboxSchema>

/** What a subscription lets through; each is optional and narrows. */
const wishes = {
  kinds: z.array(updateKindSchema).min(1).max(8).optional().meta({ description: 'Absent: every kind.' }),
  vehicles: z
    .array(vehicleIdSchema)
    .max(streamLimits.vehiclesPerSubscription)
    .optional()
    .meta({ description: 'Absent: every vehicle.' }),
  sensors: z.array(sensorIdSchema).max(streamLimits.sensorsPerSubscription).optional().meta({
    description: 'Narrows sensordata and sensorstatus. Absent: every sensor.',
  }),
  bbox: bboxSchema.optional().meta({
    description:
      'Vehicles while they are in this box. One that comes in arrives as a snapshot, one that goes out by `leave`. An anomaly counts where its vehicle was then.',
  }),
  positionsOnly: z.boolean().optional().meta({ description: 'Short for kinds ["position"].' }),
  maxRateHz: z.number().min(0.1).max(100).optional().meta({
    description:
      'At most so many frames a second; what came between is conflated. Anomalies come with the fastest subscription of a session; what subscriptions of several rates see in common comes with each.',
  }),
  every: z.boolean().optional().meta({
    description:
      'Every update of sensordata, not only the newest one, so every reading: late ones, too, so compare timestamps. What could not be kept is told by `gap`. Where one subscription wants that, all of its session have one rate, that of the fastest.',
  }),
}
const isOneChoice = ({ vehicles, bbox }: { vehicles?: unknown; bbox?: unknown }) => !(vehicles && bbox)
const oneChoice = 'vehicles and bbox exclude each other'

export const subscribeSchema = z
  .object({
    type: z.literal('subscribe'),
    id: subscriptionIdSchema,
    ...wishes,
    cursor: cursorSchema.optional().meta({ description: 'Resume: what changed since, instead of a snapshot.' }),
  })
  .refine(isOneChoice, oneChoice)
  .meta({ id: 'Subscribe' })

export const updateSubscriptionSchema = z
  .object({ type: z.literal('update'), id: subscriptionIdSchema, ...wishes })
  .refine(isOneChoice, oneChoice)
  .meta({
    id: 'UpdateSubscription',
    description:
      'Changes a subscription in place: what is absent stays. `bbox` takes the place of `vehicles`, and the other way round. What becomes visible arrives as a snapshot, what is gone by `leave`.',
  })

const muteFields = {
  kind: z.enum(['position', 'sensordata', 'sensorstatus']).meta({ description: 'Anomalies cannot be muted.' }),
  vehicle: vehicleIdSchema,
  sensor: sensorIdSchema.optional().meta({ description: 'Absent: every sensor of the vehicle.' }),
}

export const muteSchema = z.object({ type: z.literal('mute'), ...muteFields }).meta({
  id: 'Mute',
  description:
    'What `POST /api/wsctl` does, for the client of this socket: on all its sockets, and after a reconnect. Without a client id: for this session.',
})

export const unmuteSchema = z
  .object({ type: z.literal('unmute'), ...muteFields })
  .meta({ id: 'Unmute', description: 'Takes a mute back. What it hid comes at its present state.' })

export const statsRequestSchema = z.object({ type: z.literal('stats') }).meta({ id: 'StatsRequest' })

export const unsubscribeSchema = z
  .object({ type: z.literal('unsubscribe'), id: subscriptionIdSchema })
  .meta({ id: 'Unsubscribe' })

export const pingSchema = z
  .object({ type: z.literal('ping'), nonce: z.string().max(64).optional() })
  .meta({ id: 'Ping' })

export const clientMessageSchema = z
  .discriminatedUnion('type', [
    subscribeSchema,
    updateSubscriptionSchema,
    unsubscribeSchema,
    muteSchema,
    unmuteSchema,
    statsRequestSchema,
    pingSchema,
  ])
  .meta({ id: 'ClientMessage' })
export type ClientMessage = z.infer<typeof clientMessageSchema>
export type Subscribe = z.infer<typeof subscribeSchema>
export type UpdateSubscription = z.infer<typeof updateSubscriptionSchema>

/* ── server → client ───────────────────────────────────────────────────────────────────────────────────────────── */

export const helloSchema = z
  .object({
    type: z.literal('hello'),
    epoch: z.string(),
    cursor: cursorSchema,
    heartbeatMs: z.int().positive().meta({ description: 'The server pings at least this often.' }),
    server: z.string().meta({ description: 'Name and version of the server.' }),
  })
  .meta({ id: 'Hello' })

export const ackSchema = z
  .object({ type: z.literal('ack'), id: subscriptionIdSchema })
  .meta({ id: 'Ack', description: 'The subscription was made, changed or taken away.' })

export const snapshotSchema = z
  .object({
    type: z.literal('snapshot'),
    id: subscriptionIdSchema,
    cursor: cursorSchema,
    updates: z.array(updateSchema),
    part: z.int().nonnegative().meta({
      description: 'Number of this frame in its snapshot; 0 replaces what was there, unless the reason is `entered`.',
    }),
    more: z.boolean().meta({ description: 'More frames of the same snapshot follow.' }),
    reason: z.enum(['subscribed', 'epoch', 'cursor_unknown', 'moved', 'entered']).meta({
      description:
        'Why: a new subscription; the log began anew; the cursor was not understood or lies too far back for a box; the box moved. `entered`: vehicles that came into view; adds to what was there.',
    }),
  })
  .meta({
    id: 'Snapshot',
    description: 'The present state of everything that a subscription sees, or of vehicles that came into its view.',
  })

export const updatesSchema = z
  .object({
    type: z.literal('updates'),
    cursor: cursorSchema,
    updates: z.array(updateSchema),
    conflated: z.int().positive().optional().meta({ description: 'How many older updates the newer ones stand for.' }),
  })
  .meta({ id: 'Updates', description: 'What changed, over all subscriptions of the session.' })

export const leaveSchema = z
  .object({
    type: z.literal('leave'),
    id: subscriptionIdSchema,
    cursor: cursorSchema,
    vehicles: z.array(vehicleIdSchema).min(1),
  })
  .meta({ id: 'Leave', description: 'Vehicles that a subscription does not see any more.' })

export const gapSchema = z
  .object({
    type: z.literal('gap'),
    cursor: cursorSchema.meta({
      description: 'Where the stream goes on. No place to resume from: who does so from the one before is told again.',
    }),
    kind: z.enum(['anomaly', 'sensordata']).meta({ description: '`sensordata`: of subscriptions with `every` only.' }),
    since: z
      .int()
      .nullable()
      .meta({ description: 'What came after this time (epoch ms) may be missing; null: unknown.' }),
    readFrom: z.string().meta({ description: 'Where to read it: a path of the REST API, maybe with a variable.' }),
  })
  .meta({ id: 'Gap', description: 'Anomalies, or readings that were to come each, were missed.' })

const lag = (description: string) => z.int().nonnegative().nullable().meta({ description })

export const feedSchema = z
  .object({
    type: z.literal('feed'),
    lagMs: lag('Age of the newest record, by its own time; null: there is none.'),
    kafkaLagRecords: lag('How many records in Kafka were not read yet; null: unknown.'),
    kafkaLagMs: lag('For how long the oldest of them has waited; 0: none waits; null: unknown.'),
    logLagMs: lag('From ingest to here, of the last update, or since the live log is away; null: unknown.'),
    warehouseLagMs: lag('For how long a record has waited to get into the history; 0: none waits; null: unknown.'),
  })
  .meta({ id: 'Feed', description: 'How fresh the data is. Comes every few seconds.' })

const countSchema = z.int().nonnegative()

export const statsSchema = z
  .object({
    type: z.literal('stats'),
    openForMs: countSchema,
    frames: countSchema.meta({ description: 'Sent to this session, with updates or snapshots.' }),
    bytes: countSchema,
    delivered: countSchema.meta({ description: 'Updates sent.' }),
    conflated: countSchema.meta({ description: 'Updates that newer ones stood for.' }),
    caughtUp: countSchema.meta({ description: 'Updates that came later, because the connection was slow.' }),
    bufferedBytes: countSchema.meta({ description: 'That wait in the hub for this connection.' }),
    roundTripMs: countSchema.nullable().meta({ description: 'Of the last ping, behind all data; null: none yet.' }),
    maxRateHz: z
      .number()
      .nullable()
      .meta({ description: 'Lowered by the hub for a slow connection; null: it is not.' }),
    isLagging: z.boolean(),
  })
  .meta({ id: 'Stats', description: 'What the hub did for this session.' })

export const pongSchema = z.object({ type: z.literal('pong'), nonce: z.string().optional() }).meta({ id: 'Pong' })

export const streamErrorSchema = z
  .object({
    type: z.literal('error'),
    code: z.enum([
      'bad_message',
      'too_many_subscriptions',
      'unknown_subscription',
      'duplicate_subscription',
      'too_many_messages',
      'too_many_mutes',
      'mutes_unavailable',
    ]),
    message: z.string(),
    id: z.string().optional(),
  })
  .meta({ id: 'StreamError', description: 'A message of the client was refused; the session goes on.' })

export const byeSchema = z
  .object({ type: z.literal('bye'), reconnectAfterMs: z.int().nonnegative() })
  .meta({ id: 'Bye', description: 'The hub drains: reconnect, to any hub, after this time.' })

export const serverMessageSchema = z
  .discriminatedUnion('type', [
    helloSchema,
    ackSchema,
    snapshotSchema,
    updatesSchema,
    leaveSchema,
    gapSchema,
    feedSchema,
    statsSchema,
    pongSchema,
    streamErrorSchema,
    byeSchema,
  ])
  .meta({ id: 'ServerMessage' })
export type ServerMessage = z.infer<typeof serverMessageSchema>
