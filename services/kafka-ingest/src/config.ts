import {
  anomalyCatalogueSchema,
  defaultAnomalies,
  defaultSensors,
  sensorCatalogueSchema,
} from '@flasktoria/contracts/catalogue'
import { checkedRedisUrl } from '@flasktoria/live-log/redis-url'
import { logLevels } from '@flasktoria/service-kit/logger'
import { jsonFile, parsed } from '@flasktoria/service-kit/options'
import { parseHs2Url } from '@flasktoria/warehouse/hs2-url'
import { z } from 'zod'
import { checkDeadLetterTopic, deadLetterOptions, deadLetterTopic } from './dead-letters-config.ts'
import { checkHistory, historyOptions } from './history-config.ts'
import { checkPresence, presenceOptions } from './presence-config.ts'
import { checkKafkaAccess, kafkaAccessOptions } from './kafka-config.ts'
import { claimedTwice, readTopicsFile } from './topics-file.ts'
import { checkSimulate, fleetOptions, simulateOptions } from './simulate-options.ts'
import { parseTopics, type TopicRule } from './topics.ts'
import { anomalyProfile, sensorProfile, sensorV5Profile } from './built-in-profiles.ts'
import { zonedTime } from './zoned-time.ts'

export { kafkaAccess } from './kafka-config.ts'

const topics = (fallback: string, description: string) =>
  z
    .string()
    .default(fallback)
    .transform(parsed(parseTopics))
    .meta({ description: `${description}: names and /regular expressions/ of whole names, comma separated; or none.` })

const count = (fallback: number, description: string, max: number, min = 1) =>
  z.coerce.number().int().min(min).max(max).default(fallback).meta({ description })

const options = z.object({
  HOST: z.string().default('127.0.0.1').meta({ description: 'Address that health and metrics are served on.' }),
  PORT: count(8_083, 'Port of health and metrics; 0: any.', 65_535, 0),
  LOG_LEVEL: z.enum(logLevels).default('info').meta({ description: 'Least severe level that is logged.' }),
  REDIS_URL: z
    .url({ protocol: /^rediss?$/ })
    .transform(parsed(checkedRedisUrl))
    .optional()
    .meta({ description: 'Redis with the live log; needed unless everything runs in one process.' }),
  STATE_RETENTION_MS: count(
    86_400_000,
    'What nothing arrived for in this time is forgotten by the live log; hubs have an option of the same name.',
    30 * 86_400_000,
    60_000,
  ),
  SENSORS_FILE: jsonFile(sensorCatalogueSchema, defaultSensors, 'Sensor catalogue (JSON); absent: the built-in one.'),
  ANOMALIES_FILE: jsonFile(
    anomalyCatalogueSchema,
    defaultAnomalies,
    'Anomaly catalogue (JSON); absent: the built-in one.',
  ),
  EARLIEST_TIME: z.iso
    .datetime({ offset: true })
    .default('2000-01-01T00:00:00Z')
    .transform((text) => Date.parse(text))
    .meta({ description: 'Records from before are refused (ISO 8601).' }),
  MAX_AHEAD_MS: count(300_000, 'Records from further in the future are refused.', 86_400_000, 0),
  TEXT_TIME_ZONE: z
    .string()
    .default('UTC')
    .refine(isZone, 'is no time zone, such as Europe/Vienna')
    .meta({ description: 'Time zone of the old producer, which writes times as text.' }),
  MAX_SPEED_KMH: count(
    300,
    'A position that a vehicle could reach only faster than this is refused, unless the next one confirms it; 0: none is.',
    100_000,
    0,
  ),
  ...deadLetterOptions,
  HS2_URL: z
    .string()
    .transform(parsed((url) => (parseHs2Url(url), url)))
    .optional()
    .meta({ description: 'HiveServer2 that shall know the tables of the history: `hive2://host:port/database`.' }),
  ...presenceOptions,
  ...historyOptions,
})

const kafka = z.object({
  ...kafkaAccessOptions,
  SENSOR_TOPICS: topics('clb.demo.depa.raw', 'Topics with sensor records'),
  SENSOR_V5_TOPICS: topics('none', "Topics with the old producer's sensor records (five fields, time as text)"),
  ANOMALY_TOPICS: topics('clb.demo.ml.anomaly', 'Topics with anomaly records'),
})

const consumer = kafka.extend({
  TOPICS_FILE: z.string().transform(parsed(readTopicsFile)).optional().meta({
    description:
      'Topics of other forms and with other fields (JSON, a list of profiles); with it the topics above are none unless named.',
  }),
  DEAD_LETTER_TOPIC: deadLetterTopic,
  KAFKA_GROUP: z.string().min(1).max(200).default('flasktoria').meta({
    description:
      'Consumer group of the live updates; the history writer is in one of its own, with `-history` behind it.',
  }),
  KAFKA_START: z
    .enum(['latest', 'earliest'])
    .default('latest')
    .meta({ description: 'Where a topic begins for a group that never read it.' }),
  MAX_BACKLOG_MS: count(
    60_000,
    'Sensor records that waited in Kafka for longer when this service starts are left to the history; anomalies never are.',
    7 * 86_400_000,
    1_000,
  ),
  APPEND_INTERVAL_MS: count(8, 'How far apart appends to the live log stand while few updates come.', 1_000, 0),
  KAFKA_TOPIC_CHECK_MS: count(10_000, 'How often to look for topics and partitions that came or went.', 3_600_000, 100),
  KAFKA_SESSION_TIMEOUT_MS: count(
    10_000,
    'How long an instance may be silent before others take over its partitions.',
    1_800_000,
    1_000,
  ),
})

const recording = z.object({
  RECORDING_FILE: z.string('is missing').meta({ description: 'Recording to replay, `.csv` or `.csv.gz`.' }),
  RECORDING_SPEED: z.coerce
    .number()
    .min(0.001)
    .max(100_000)
    .default(1)
    .meta({ description: 'How many times faster than it happened.' }),
})

const simulator = z.object(fleetOptions)

const sources = z.discriminatedUnion('SOURCE', [
  consumer.extend({ SOURCE: z.literal('kafka') }),
  recording.extend({ SOURCE: z.literal('recording') }),
  simulator.extend({ SOURCE: z.literal('simulator') }),
])

type KafkaInput = z.output<typeof kafka>

/** Mistakes that only several options together show. */
const checkKafka = (config: object, context: z.RefinementCtx): void => {
  if (!('KAFKA_BROKERS' in config)) return
  const complain = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message })
  checkKafkaAccess(config as KafkaInput, complain)
  const rules = topicRules(config as KafkaInput)
  if ('DEAD_LETTER_TOPIC' in config)
    checkDeadLetterTopic(config.DEAD_LETTER_TOPIC as string | undefined, rules, complain)
  const twice = claimedTwice(rules)
  if (twice === undefined) return
  const isPattern = twice.startsWith('/')
  complain('SENSOR_TOPICS', `${isPattern ? 'pattern' : 'topic'} ${twice} has several profiles`)
}

const withSource = (environment: object) => ({
  SOURCE: 'kafka',
  ...('TOPICS_FILE' in environment && { SENSOR_TOPICS: 'none', ANOMALY_TOPICS: 'none' }),
  ...environment,
})

/** SOURCE: where records come from: `kafka`, `recording` (RECORDING_FILE) or `simulator`. */
export const configSchema = z.preprocess(
  withSource,
  z.intersection(options, sources).superRefine(checkKafka).superRefine(checkPresence).superRefine(checkHistory),
)
export type Config = z.output<typeof configSchema>

/** Every variable that the service reads. */
export const optionNames = [
  ...Object.keys(options.shape),
  ...new Set(sources.options.flatMap(({ shape }) => Object.keys(shape))),
]

/** For the program that writes a simulated fleet into Kafka. */
const simulate = options.pick({ LOG_LEVEL: true }).extend({ ...kafka.shape, ...simulator.shape, ...simulateOptions })
export const simulateSchema = simulate.superRefine(checkKafka).superRefine((config, context) => {
  checkSimulate(config, (name, message) => context.addIssue({ code: 'custom', path: [name], message }))
})
export type SimulateConfig = z.output<typeof simulateSchema>
export const simulateOptionNames = Object.keys(simulate.shape)

export const topicRules = (
  config: Pick<KafkaInput, 'SENSOR_TOPICS' | 'SENSOR_V5_TOPICS' | 'ANOMALY_TOPICS'> & {
    TOPICS_FILE?: TopicRule[] | undefined
  },
  textTimeZone = 'UTC',
): TopicRule[] => [
  { profile: sensorProfile, ...config.SENSOR_TOPICS },
  { profile: sensorV5Profile(textTimeZone), ...config.SENSOR_V5_TOPICS },
  { profile: anomalyProfile, ...config.ANOMALY_TOPICS },
  ...(config.TOPICS_FILE ?? []),
]

function isZone(zone: string): boolean {
  try {
    zonedTime(zone)
    return true
  } catch {
    return false
  }
}
