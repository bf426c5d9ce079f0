import { z } from 'zod'
import type { KafkaAccess } from './kafka-client.ts'

const noKerberos =
  'is gssapi, which the Kafka client of this service does not have: Kerberos needs native libraries that it does without. ' +
  'Ask who runs the brokers for a listener with scram-sha-512 or oauthbearer, which may stand beside the one with Kerberos'

const mechanisms = ['none', 'plain', 'scram-sha-256', 'scram-sha-512', 'oauthbearer'] as const

/** How to reach the brokers. */
export const kafkaAccessOptions = {
  KAFKA_BROKERS: z
    .string()
    .default('127.0.0.1:9092')
    .transform((text) => text.split(',').map((broker) => broker.trim()))
    .refine((brokers) => brokers.every((broker) => /^[^\s:/]+:\d+$|^\[[\da-fA-F:]+\]:\d+$/.test(broker)), {
      message: 'is no comma separated list of host:port',
    })
    .meta({ description: 'Kafka brokers to begin with, `host:port`, comma separated.' }),
  KAFKA_TLS: z.stringbool().default(false).meta({ description: 'Whether the brokers want TLS.' }),
  KAFKA_TLS_CA: z
    .string()
    .refine((text) => text.includes('-----BEGIN CERTIFICATE-----'), {
      message: 'holds no certificate in PEM; the path of a file belongs into KAFKA_TLS_CA_FILE',
    })
    .optional()
    .meta({ description: 'Certificate authority of the brokers (PEM), if private.' }),
  KAFKA_SASL_MECHANISM: z
    .string()
    .toLowerCase()
    .refine((name) => name !== 'gssapi', { message: noKerberos, abort: true })
    .pipe(z.enum(mechanisms))
    .default('none')
    .meta({ description: `How to log in to the brokers: ${mechanisms.join(', ')}.` }),
  KAFKA_SASL_USERNAME: z.string().optional().meta({ description: 'User of the brokers, for plain and scram.' }),
  KAFKA_SASL_PASSWORD: z.string().optional().meta({ description: 'Password of that user.' }),
  KAFKA_OAUTH_TOKEN_URL: z
    .url({ protocol: /^https?$/ })
    .optional()
    .meta({ description: 'Where tokens for oauthbearer come from, by the client-credentials grant.' }),
  KAFKA_OAUTH_CLIENT_ID: z.string().optional().meta({ description: 'Who asks for tokens.' }),
  KAFKA_OAUTH_CLIENT_SECRET: z.string().optional().meta({ description: 'The secret of who asks for tokens.' }),
  KAFKA_OAUTH_SCOPE: z.string().optional().meta({ description: 'Scope of the tokens, if the issuer wants one.' }),
}

const kafkaAccessSchema = z.object(kafkaAccessOptions)
type AccessInput = z.output<typeof kafkaAccessSchema>

/** What each mechanism needs. */
const needs: Record<AccessInput['KAFKA_SASL_MECHANISM'], readonly (keyof AccessInput)[]> = {
  none: [],
  plain: ['KAFKA_SASL_USERNAME', 'KAFKA_SASL_PASSWORD'],
  'scram-sha-256': ['KAFKA_SASL_USERNAME', 'KAFKA_SASL_PASSWORD'],
  'scram-sha-512': ['KAFKA_SASL_USERNAME', 'KAFKA_SASL_PASSWORD'],
  oauthbearer: ['KAFKA_OAUTH_TOKEN_URL', 'KAFKA_OAUTH_CLIENT_ID', 'KAFKA_OAUTH_CLIENT_SECRET'],
}

/** What is missing for the mechanism that was chosen. */
export function checkKafkaAccess(config: AccessInput, complain: (name: string, message: string) => void): void {
  const mechanism = config.KAFKA_SASL_MECHANISM
  for (const name of needs[mechanism])
    if (!config[name]) complain(name, `is missing, and KAFKA_SASL_MECHANISM ${mechanism} needs it`)
  if (config.KAFKA_TLS_CA !== undefined && !config.KAFKA_TLS)
    complain('KAFKA_TLS', 'is not set, so KAFKA_TLS_CA would do nothing')
}

export function kafkaAccess(config: AccessInput): KafkaAccess {
  const { KAFKA_BROKERS: brokers, KAFKA_TLS: isTls, KAFKA_TLS_CA: ca } = config
  return { brokers, tls: isTls ? { ca } : undefined, sasl: saslOf(config) }
}

function saslOf(config: AccessInput): KafkaAccess['sasl'] {
  const {
    KAFKA_SASL_MECHANISM: mechanism,
    KAFKA_SASL_USERNAME: username = '',
    KAFKA_SASL_PASSWORD: password = '',
  } = config
  if (mechanism === 'none') return undefined
  if (mechanism !== 'oauthbearer') return { mechanism, username, password }
  const { KAFKA_OAUTH_TOKEN_URL: tokenUrl = '', KAFKA_OAUTH_CLIENT_ID: clientId = '' } = config
  const { KAFKA_OAUTH_CLIENT_SECRET: clientSecret = '', KAFKA_OAUTH_SCOPE: scope } = config
  return { mechanism, tokenUrl, clientId, clientSecret, scope }
}
