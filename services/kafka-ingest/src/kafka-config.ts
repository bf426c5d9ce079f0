import { z } from 'zod'
import type { KafkaAccess } from './kafka-client.ts'

const noKerberos =
  'is gssapi, which the Kafka client of this service does not have: Kerberos needs native libraries that it does without. ' +
  'Ask who runs the brokers for a listener with scram-sha-512 or oauthbearer, which may stand beside the one with Kerberos'

const mechanisms = ['none', 'plain', 'scram-sha-256', 'scram-sha-512', 'oauthbearer'] as const

const pem = (what: string, marker: RegExp, option: string, description: string) =>
  z
    .string()
    .regex(marker, `holds no ${what} in PEM; the path of a file belongs into ${option}_FILE`)
    .optional()
    .meta({ description })
const certificate = /-----BEGIN CERTIFICATE-----/

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
  KAFKA_TLS_CA: pem(
    'certificate',
    certificate,
    'KAFKA_TLS_CA',
    'Certificate authority of the brokers (PEM), if private.',
  ),
  KAFKA_TLS_CERT: pem(
    'certificate',
    certificate,
    'KAFKA_TLS_CERT',
    'Our own certificate and its chain (PEM), where the brokers want one.',
  ),
  KAFKA_TLS_KEY: pem(
    'unencrypted private key',
    /-----BEGIN (?:EC |RSA )?PRIVATE KEY-----/,
    'KAFKA_TLS_KEY',
    'The private key of that certificate (PEM, not encrypted).',
  ),
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
  for (const name of ['KAFKA_TLS_CA', 'KAFKA_TLS_CERT', 'KAFKA_TLS_KEY'] as const)
    if (config[name] !== undefined && !config.KAFKA_TLS)
      complain('KAFKA_TLS', `is not set, so ${name} would do nothing`)
  if ((config.KAFKA_TLS_CERT === undefined) !== (config.KAFKA_TLS_KEY === undefined))
    complain('KAFKA_TLS_CERT', 'and KAFKA_TLS_KEY belong together: only one of them is set')
}

export function kafkaAccess(config: AccessInput): KafkaAccess {
  const { KAFKA_BROKERS: brokers, KAFKA_TLS_CA: ca, KAFKA_TLS_CERT: cert, KAFKA_TLS_KEY: key } = config
  return { brokers, tls: config.KAFKA_TLS ? { ca, cert, key } : undefined, sasl: saslOf(config) }
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
