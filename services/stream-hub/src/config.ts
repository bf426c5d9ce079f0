import { streamLimits } from '@flasktoria/contracts/stream'
import { checkedRedisUrl } from '@flasktoria/live-log/redis-url'
import { logLevels } from '@flasktoria/service-kit/logger'
import { parsed } from '@flasktoria/service-kit/options'
import { z } from 'zod'
import manifest from '../package.json' with { type: 'json' }
import type { HubOptions } from './hub.ts'

const count = (fallback: number, description: string, { min = 1, max = Number.MAX_SAFE_INTEGER } = {}) =>
  z.coerce.number().int().min(min).max(max).default(fallback).meta({ description })

const options = z.object({
  HOST: z.string().default('127.0.0.1').meta({ description: 'Address to listen on.' }),
  PORT: z.coerce.number().int().min(0).max(65_535).default(8_082).meta({ description: 'Port to listen on; 0: any.' }),
  TRANSPORT: z.enum(['auto', 'uws', 'ws']).default('auto').meta({
    description: 'What serves the sockets: `uws` (uWebSockets.js), `ws`, or `auto`: uWebSockets.js where it loads.',
  }),
  LOG_LEVEL: z.enum(logLevels).default('info').meta({ description: 'Least severe level that is logged.' }),
  REDIS_URL: z
    .url({ protocol: /^rediss?$/ })
    .transform(parsed(checkedRedisUrl))
    .optional()
    .meta({ description: 'Redis with the live log and the mutes; needed unless both are given in process.' }),
  ALLOWED_ORIGINS: z
    .string()
    .transform((text) =>
      text
        .split(',')
        .map((origin) => origin.trim())
        .filter(Boolean),
    )
    .optional()
    .meta({ description: 'Origins, comma separated, from which browsers may connect; absent: any.' }),
  TICK_MS: count(4, 'Least time between two flushes; the first update after a quiet time is flushed at once.', {
    max: 250,
  }),
  MAX_TICK_MS: count(250, 'Most time between two flushes, when they cost much.', { max: 5_000 }),
  MAX_CONNECTIONS: count(10_000, 'Most connections; one more is refused with 503.', { max: 1_000_000 }),
  MAX_SUBSCRIPTIONS: count(streamLimits.subscriptions, 'Most subscriptions of a session.', {
    max: streamLimits.subscriptions,
  }),
  MAX_VEHICLES: count(10_000, 'Most vehicles that the subscriptions of a session may name together.'),
  MESSAGES_PER_SECOND: count(streamLimits.messagesPerSecond, 'Most messages of a session in a second.', {
    max: streamLimits.messagesPerSecond,
  }),
  MAX_BUFFERED_BYTES: count(1 << 20, 'Most bytes that wait in this process for one connection.', { min: 1 << 17 }),
  SLOW_AFTER_MS: count(30_000, 'A connection that makes no progress for this long, though data waits, is closed.'),
  LAG_AFTER_MS: count(1_000, 'A connection whose pong takes longer, behind all data, gets nothing until it comes.'),
  PING_INTERVAL_MS: count(25_000, 'How often each connection is pinged.', { min: 1_000 }),
  IDLE_TIMEOUT_MS: count(75_000, 'A connection from which nothing came for this long, not even a pong, is closed.', {
    min: 3_000,
    max: 900_000,
  }),
  FEED_INTERVAL_MS: count(5_000, 'How often clients are told how fresh the data is.', { min: 1_000 }),
  DRAIN_MS: count(3_000, 'When the hub stops: the time over which clients are sent away and told to come back.', {
    max: 10_000,
  }),
  RING_LENGTH: count(65_536, 'How many entries of the live log are found by their seq.', { max: 1 << 24 }),
  MAX_EVENTS: count(10_000, 'How many anomalies are remembered for sessions that were away.', { min: 10 }),
  MAX_STATE_KEYS: count(2_000_000, 'Most MERGE keys (kind, vehicle, sensor) in memory; the oldest are forgotten.'),
  STATE_RETENTION_MS: count(86_400_000, 'What nothing arrived for in this time is forgotten, and leaves the map.'),
})

export const configSchema = options
  .refine((config) => config.PING_INTERVAL_MS < config.IDLE_TIMEOUT_MS, {
    path: ['IDLE_TIMEOUT_MS'],
    message: 'must be longer than PING_INTERVAL_MS',
  })
  .refine((config) => config.TICK_MS <= config.MAX_TICK_MS, {
    path: ['MAX_TICK_MS'],
    message: 'must not be shorter than TICK_MS',
  })
export type Config = z.output<typeof configSchema>

/** Every variable that the service reads. */
export const optionNames = Object.keys(options.shape)

export const hubOptionsOf = (config: Config): HubOptions => ({
  ringLength: config.RING_LENGTH,
  maxEvents: config.MAX_EVENTS,
  maxStateKeys: config.MAX_STATE_KEYS,
  stateRetentionMs: config.STATE_RETENTION_MS,
  session: { messagesPerSecond: config.MESSAGES_PER_SECOND, errorsBurst: 20, errorsPerMinute: 6 },
  pace: { minMs: config.TICK_MS, maxMs: config.MAX_TICK_MS },
  slowAfterMs: config.SLOW_AFTER_MS,
  lagAfterMs: config.LAG_AFTER_MS,
  feedIntervalMs: config.FEED_INTERVAL_MS,
  pingIntervalMs: config.PING_INTERVAL_MS,
  idleTimeoutMs: config.IDLE_TIMEOUT_MS,
  serverName: `flasktoria-stream-hub/${manifest.version}`,
})
