import { configSchema as ingestSchema, optionNames as ingestNames, topicRules } from '@flasktoria/kafka-ingest/config'
import { kafkaAccess } from '@flasktoria/kafka-ingest/kafka-config'
import { openHistoryStore } from '@flasktoria/kafka-ingest/history-config'
import { createInterpreter } from '@flasktoria/kafka-ingest/interpret'
import { configSchema as querySchema, optionNames as queryNames } from '@flasktoria/query-api/config'
import { readConfig } from '@flasktoria/service-kit/config'
import { configSchema as hubSchema, optionNames as hubNames } from '@flasktoria/stream-hub/config'
import { tableProfiles } from '@flasktoria/warehouse/table-profile'
import { fileURLToPath } from 'node:url'
import type { z } from 'zod'
import { examineBucket } from './bucket.ts'
import { Chart, messageOf, ok, warning, wrong } from './chart.ts'
import { examineDisk } from './disk.ts'
import { examineKafka } from './kafka.ts'
import { examineNginx } from './nginx.ts'
import { optionNames as ownNames, optionsSchema } from './options.ts'
import { examineOrigin } from './origin.ts'
import { examineRedis } from './redis.ts'
import { areas, reportOf, type Area, type Report } from './report.ts'
import { examineWarehouse } from './warehouse.ts'

export type Environment = Record<string, string | undefined>

/** Looks at everything that the services would use with this environment. Changes nothing but for what each check says. */
export async function examine(environment: Environment, only: ReadonlySet<Area> = new Set(areas)): Promise<Report> {
  const configuration = new Chart('configuration')
  const configs = readConfigs(configuration, environment)
  const charts = areas.map((area) => {
    const chart = area === 'configuration' ? configuration : new Chart(area)
    const done = area === 'configuration' || !only.has(area) ? Promise.resolve() : examiners[area](chart, configs)
    return { area, chart, done: done.catch((error: unknown) => chart.note(area, wrong(messageOf(error), bugAdvice))) }
  })
  await Promise.all(charts.map(({ done }) => done))
  const findings = charts.filter(({ area }) => only.has(area)).flatMap(({ chart }) => chart.findings)
  return reportOf(findings, Date.now())
}

const bugAdvice = 'This is a mistake of the doctor itself: please report it.'

type Configs = {
  ingest: z.output<typeof ingestSchema> | undefined
  query: z.output<typeof querySchema> | undefined
  hub: z.output<typeof hubSchema> | undefined
  own: z.output<typeof optionsSchema> | undefined
}

function readConfigs(chart: Chart, environment: Environment): Configs {
  const read = <Schema extends z.ZodType>(who: string, schema: Schema, names: readonly string[]) => {
    try {
      const config = readConfig(schema, environment, names)
      chart.note(who, ok('every option can be read'))
      return config
    } catch (error) {
      chart.note(
        who,
        wrong(messageOf(error).replaceAll(/\s*\n\s*/g, ' '), 'Correct these variables of its environment.'),
      )
      return undefined
    }
  }
  return {
    ingest: read('kafka-ingest', ingestSchema, ingestNames),
    query: read('query-api', querySchema, queryNames),
    hub: read('stream-hub', hubSchema, hubNames),
    own: read('doctor', optionsSchema, ownNames),
  }
}

const unread = 'its configuration can not be read'

const examiners: Record<Exclude<Area, 'configuration'>, (chart: Chart, configs: Configs) => Promise<void>> = {
  async kafka(chart, { ingest }) {
    if (!ingest) return chart.unchecked(['kafka'], unread)
    if (ingest.SOURCE !== 'kafka') return chart.unchecked(['kafka'], `records come from a ${ingest.SOURCE} (SOURCE)`)
    const { KAFKA_GROUP: group, EARLIEST_TIME: earliestTs, MAX_AHEAD_MS: maxAheadMs } = ingest
    await examineKafka(chart, {
      access: kafkaAccess(ingest),
      rules: topicRules(ingest, ingest.TEXT_TIME_ZONE),
      groups: ingest.HISTORY_DIR === undefined ? [group] : [group, `${group}-history`],
      interpret: createInterpreter({ earliestTs, maxAheadMs }),
      maxAheadMs,
    })
  },

  async redis(chart, { ingest, hub, query }) {
    const config = ingest ?? hub ?? query
    if (!config) return chart.unchecked(['redis'], unread)
    await examineRedis(chart, config.REDIS_URL)
  },

  async warehouse(chart, { ingest, query }) {
    if (query?.WAREHOUSE === 'hs2') return examineWarehouse(chart, { url: query.HS2_URL, profile: query.TABLE_PROFILE })
    if (ingest?.HS2_URL === undefined) return chart.unchecked(['warehouse'], 'HS2_URL names no HiveServer2')
    if (query?.WAREHOUSE === 'none')
      chart.note(
        'use',
        warning(
          'HS2_URL is set, and query-api is not told to ask it',
          'Set WAREHOUSE=hs2 for query-api (or duckdb, with HISTORY_DIR).',
        ),
      )
    const database = ingest.HISTORY_DATABASE
    const profile = { ...tableProfiles.own, ...(database !== undefined && { database }) }
    await examineWarehouse(chart, { url: ingest.HS2_URL, profile })
  },

  async origin(chart, { own, hub }) {
    if (!own) return chart.unchecked(['origin'], unread)
    if (own.ORIGIN_URL === undefined) chart.unchecked(['origin'], 'ORIGIN_URL names none')
    else await examineOrigin(chart, own.ORIGIN_URL)
    if (own.NGINX_CONF === undefined) return chart.unchecked(['nginx'], 'NGINX_CONF names no configuration to read')
    if (!hub) return chart.unchecked(['nginx'], 'the configuration of stream-hub can not be read')
    examineNginx(chart, own.NGINX_CONF, {
      pingIntervalMs: hub.PING_INTERVAL_MS,
      slowAfterMs: hub.SLOW_AFTER_MS,
      maxConnections: hub.MAX_CONNECTIONS,
    })
  },

  async disk(chart, { ingest }) {
    if (ingest?.HISTORY_DIR === undefined) return chart.unchecked(['disk'], 'HISTORY_DIR names no folder')
    const { HISTORY_DIR: place } = ingest
    if (!place.startsWith('s3:')) return examineDisk(chart, place.startsWith('file:') ? fileURLToPath(place) : place)
    await using parts = new AsyncDisposableStack()
    const store = await openHistoryStore(ingest, parts)
    if (store) await examineBucket(chart, store)
  },
}
