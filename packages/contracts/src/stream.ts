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

export const subscribeSchema = z
  .object({
    type: z.literal('subscribe'),
    id: subscriptionIdSchema,
    kinds: z.array(updateKindSchema).min(1).max(8).optional().meta({ description: 'Absent: every kind.' }),
    vehicles: z
      .array(vehicleIdSchema)
      .max(streamLimits.vehiclesPerSubscription)
      .optional()
      .meta({ description: 'Absent: every vehicle.' }),
    sensors: z.array(sensorIdSchema).max(streamLimits.sensorsPerSubscription).optional().meta({
      description: 'Narrows sensordata and sensorstatus. Absent: every sensor.',
    }),
    cursor: cursorSchema.optional().meta({ description: 'Resume: what changed since, instead of a snapshot.' }),
  })
  .meta({ id: 'Subscribe' })

export const unsubscribeSchema = z
  .object({ type: z.literal('unsubscribe'), id: subscriptionIdSchema })
  .meta({ id: 'Unsubscribe' })

export const pingSchema = z
  .object({ type: z.literal('ping'), nonce: z.string().max(64).optional() })
  .meta({ id: 'Ping' })

export const clientMessageSchema = z
  .discriminatedUnion('type', [subscribeSchema, unsubscribeSchema, pingSchema])
  .meta({ id: 'ClientMessage' })
export type ClientMessage = z.infer<typeof clientMessageSchema>
export type Subscribe = z.infer<typeof subscribeSchema>

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
  .meta({ id: 'Ack', description: 'The subscription was made or taken away.' })

export const snapshotSchema = z
  .object({
    type: z.literal('snapshot'),
    id: subscriptionIdSchema,
    cursor: cursorSchema,
    updates: z.array(updateSchema),
    part: z
      .int()
      .nonnegative()
      .meta({ description: 'Number of this frame in its snapshot; 0 replaces what was there.' }),
    more: z.boolean().meta({ description: 'More frames of the same snapshot follow.' }),
    reason: z.enum(['subscribed', 'epoch', 'cursor_unknown']).meta({
      description: 'Why: a new subscription; the log began anew; the cursor was not understood.',
    }),
  })
  .meta({
    id: 'Snapshot',
    description: 'The present state of everything that a subscription sees. Replaces what was there.',
  })

export const updatesSchema = z
  .object({
    type: z.literal('updates'),
    cursor: cursorSchema,
    updates: z.array(updateSchema),
    conflated: z.int().positive().optional().meta({ description: 'How many older updates the newer ones stand for.' }),
  })
  .meta({ id: 'Updates', description: 'What changed, over all subscriptions of the session.' })

export const gapSchema = z
  .object({
    type: z.literal('gap'),
    cursor: cursorSchema,
    since: z
      .int()
      .nullable()
      .meta({ description: 'Anomalies after this time (epoch ms) may be missing; null: unknown.' }),
    readFrom: z.string().meta({ description: 'Where to read them: a path of the REST API.' }),
  })
  .meta({ id: 'Gap', description: 'Anomalies were missed.' })

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
    gapSchema,
    pongSchema,
    streamErrorSchema,
    byeSchema,
  ])
  .meta({ id: 'ServerMessage' })
export type ServerMessage = z.infer<typeof serverMessageSchema>
