import {
  anomalyCatalogueSchema,
  defaultAnomalies,
  defaultSensors,
  sensorCatalogueSchema,
  vehicleNamesSchema,
} from '@flasktoria/contracts/catalogue'
import { checkedRedisUrl } from '@flasktoria/live-log/redis-url'
import { logLevels } from '@flasktoria/service-kit/logger'
import { jsonFile, parsed } from '@flasktoria/service-kit/options'
import { parseHs2Url } from '@flasktoria/warehouse/hs2-url'
import { tableProfileOptionSchema } from '@flasktoria/warehouse/table-profile'
import { z } from 'zod'
import { readOrigins } from './cors.ts'

const count = (fallback: number, description: string, max = Number.MAX_SAFE_INTEGER) =>
  z.coerce.number().int().min(1).max(max).default(fallback).meta({ description })

const options = z.object({
  HOST: z.string().default('127.0.0.1').meta({ description: 'Address to listen on.' }),
  PORT: z.coerce.number().int().min(0).max(65_535).default(8_081).meta({ description: 'Port to listen on; 0: any.' }),
  LOG_LEVEL: z.enum(logLevels).default('info').meta({ description: 'Least severe level that is logged.' }),
  REDIS_URL: z
    .url({ protocol: /^rediss?$/ })
    .transform(parsed(checkedRedisUrl))
    .optional()
    .meta({ description: 'Redis with the live log; absent: a log in memory, which only its own process can fill.' }),
  SENSORS_FILE: jsonFile(sensorCatalogueSchema, defaultSensors, 'Sensor catalogue (JSON); absent: the built-in one.'),
  ANOMALIES_FILE: jsonFile(
    anomalyCatalogueSchema,
    defaultAnomalies,
    'Anomaly catalogue (JSON); absent: the built-in one.',
  ),
  VEHICLES_FILE: jsonFile(vehicleNamesSchema, {}, "Vehicle ids and their drivers' names (JSON object)."),
  WINDOW_MS: count(600_000, 'How long the recent window remembers a reading after it arrived.'),
  WINDOW_MAX_READINGS: count(
    1_000_000,
    'Most readings in the recent window, and most positions; a reading takes 28 bytes, a position 56.',
    100_000_000,
  ),
  WINDOW_MAX_ANOMALIES: count(10_000, 'Most anomalies in the recent window.'),
  HISTORY_DELAY_MS: z.coerce.number().int().nonnegative().optional().meta({
    description:
      'Longest that it takes a record to get into the history, where others than the history writer fill it; absent: the history writers say how far they are.',
  }),
  MAX_ROWS: count(500_000, 'Most rows of one answer; a question with more is refused with 400.'),
  MAX_SENSOR_IDS: count(200, 'Most sensors of one question.'),
  MAX_FLEET_PERIOD_MS: count(
    604_800_000,
    'Longest period of a question about the whole fleet, or of one vehicle where tables have a row key.',
  ),
  MAX_BODY_BYTES: count(1_048_576, 'Largest request body; a larger one is refused with 413.'),
  MAX_HISTORY_REQUESTS: count(
    64,
    'Most requests that ask the warehouse at once; the next one gets 503 with Retry-After.',
  ),
  HISTORY_RATE_BURST: count(1_000, 'Most questions about history that a client may ask at once; beyond it is 429.'),
  HISTORY_RATE_PER_SECOND: count(100, 'How many of them come back in a second.'),
  SETTLED_AFTER_MS: count(
    86_400_000,
    'So long after its end a period is settled: late records do not come any more, and browsers keep its answers for a day.',
  ),
  CORS_ORIGINS: z
    .string()
    .default('*')
    .transform(parsed(readOrigins))
    .meta({ description: "Origins whose pages may read the answers, comma separated; `*`: everybody's." }),
  QUERY_DEADLINE_MS: count(
    30_000,
    'Longest that a question to the warehouse may take, from the request to the last row.',
  ),
})

const hs2Url = z
  .string()
  .superRefine((url, context) => {
    try {
      parseHs2Url(url)
    } catch (error) {
      context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : String(error) })
    }
  })
  .meta({
    description:
      'The HiveServer2, or several equal ones: `hive2://[user:password@]host[:port][,…]/[database]?auth=NOSASL|PLAIN`; with TLS `&tls=true[&ca=FILE][&servername=…]`; through Apache Knox `&transportMode=http&httpPath=gateway/default/hive`.',
  })

const warehouses = z.discriminatedUnion('WAREHOUSE', [
  z.object({ WAREHOUSE: z.literal('none') }),
  z.object({
    WAREHOUSE: z.literal('duckdb'),
    HISTORY_DIR: z.string().meta({ description: 'Folder with the Parquet files of the history.' }),
    DUCKDB_MEMORY_MB: z.coerce.number().int().min(64).max(1_048_576).default(256).meta({
      description: 'Most memory of DuckDB, which puts nothing on disk; a question that needs more is refused with 400.',
    }),
  }),
  z.object({
    WAREHOUSE: z.literal('hs2'),
    HS2_URL: hs2Url,
    HS2_CONNECTIONS: count(4, 'Most connections to each HiveServer2; a connection runs one statement at a time.', 256),
    TABLE_PROFILE: tableProfileOptionSchema,
  }),
])

/** WAREHOUSE: where the history is: `none`, `duckdb` (HISTORY_DIR) or `hs2` (HS2_URL, TABLE_PROFILE). */
export const configSchema = z.preprocess(
  (environment: object) => ({ WAREHOUSE: 'none', ...environment }),
  z.intersection(options, warehouses),
)
export type Config = z.output<typeof configSchema>

/** Every variable that the service reads. */
export const optionNames = [
  ...Object.keys(options.shape),
  ...new Set(warehouses.options.flatMap(({ shape }) => Object.keys(shape))),
]
