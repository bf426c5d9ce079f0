// Everything that kafkajs needs to reach a cluster, and to say what is wrong with it.
import type { Logger } from '@flasktoria/service-kit/logger'
import kafkajs, { type Kafka, type KafkaConfig, type LogEntry, type RetryOptions, type SASLOptions } from 'kafkajs'
import { followCoordinators } from './kafka-coordinator.ts'
import { lz4Codec, snappyCodec, zstdCodec } from './kafka-codecs.ts'
import { kafkaHint } from './kafka-hints.ts'
import { createTokenSource, TokenError, type OauthClient } from './kafka-oauth.ts'

export type KafkaAccess = {
  brokers: string[]
  /** PEM. A certificate of our own where the brokers know clients by it. */
  tls?: { ca?: string | undefined; cert?: string | undefined; key?: string | undefined } | undefined
  sasl?:
    | { mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'; username: string; password: string }
    | ({ mechanism: 'oauthbearer' } & OauthClient)
    | undefined
}

// CommonJS whose names Node does not see.
const { CompressionCodecs, CompressionTypes, KafkaJSConnectionError, KafkaJSError, logLevel } = kafkajs

CompressionCodecs[CompressionTypes.Snappy] = () => snappyCodec
CompressionCodecs[CompressionTypes.LZ4] = () => lz4Codec
CompressionCodecs[CompressionTypes.ZSTD] = () => zstdCodec
followCoordinators()

/** Patience instead of the defaults: after a broker restart it is used again within a second or two, without a rejoin. */
export const retry = { retries: 200, initialRetryTime: 100, maxRetryTime: 1_000, factor: 0.2, multiplier: 1.5 }
const logIntervalMs = 10_000

/** Retries that ran out are no reason to give up; what kafkajs calls not retriable is. */
export const isFatal = (error: unknown): boolean =>
  !(error instanceof KafkaJSError) || (!error.retriable && error.name !== 'KafkaJSNumberOfRetriesExceeded')

/** Will not pass by itself; the message says what to change. */
export class KafkaRefusal extends Error {
  override readonly name = 'KafkaRefusal'
}

/** `patience`: for how long it tries again; a service never gives up. */
export const connectTo = (
  { brokers, tls, sasl }: KafkaAccess,
  logger: Logger,
  patience: RetryOptions = retry,
): Kafka => {
  const config: KafkaConfig = {
    clientId: 'flasktoria',
    brokers,
    connectionTimeout: 1_000,
    retry: patience,
    logCreator: () => logTo(logger),
  }
  if (tls) config.ssl = Object.fromEntries(Object.entries(tls).filter(([, pem]) => pem !== undefined))
  if (sasl) config.sasl = saslOf(sasl)
  return new kafkajs.Kafka(config)
}

function saslOf(sasl: NonNullable<KafkaAccess['sasl']>): SASLOptions {
  if (sasl.mechanism !== 'oauthbearer') return sasl
  const token = createTokenSource(sasl)
  const oauthBearerProvider = async () => {
    try {
      return await token()
    } catch (error) {
      if (!(error instanceof TokenError) || !error.retriable) throw error
      // The handshake has begun: only for this error does kafkajs take another connection when it tries again.
      throw new KafkaJSConnectionError(error.message, { broker: sasl.tokenUrl })
    }
  }
  return { mechanism: 'oauthbearer', oauthBearerProvider }
}

/** kafkajs says the same thing at every try: once in a while is enough. */
function logTo(logger: Logger): (entry: LogEntry) => void {
  const said = new Map<string, number>()
  return ({ level, namespace, log: { message, error, groupId } }) => {
    if (level > logLevel.WARN) return logger.debug({ namespace, error, groupId }, message)
    const now = Date.now()
    if ((said.get(message) ?? 0) > now - logIntervalMs) return undefined
    if (said.size > 100) said.clear()
    said.set(message, now)
    const hint = kafkaHint({ message: `${message} ${error}` })
    return logger.warn({ namespace, error, groupId, hint }, `kafkajs: ${message}`)
  }
}
