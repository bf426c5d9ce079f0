import { configSchema, optionNames } from '@flasktoria/kafka-ingest/config'
import { start } from '@flasktoria/kafka-ingest/main'
import { createMemoryLog } from '@flasktoria/live-log/log-memory'
import { readConfig } from '@flasktoria/service-kit/config'
import { createLogger } from '@flasktoria/service-kit/logger'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { freePort } from './servers/daemon.ts'
import { areas } from './doctor/report.ts'
import { optionNames as doctorOptions } from './doctor/options.ts'

const document = readFileSync(new URL('../docs/operations.md', import.meta.url), 'utf8')
const [alerts = '', table = ''] = document.split('## What kafka-ingest measures')

type Metric = { name: string; type: unknown; labels: string[] }
let registered: Metric[] = []

/** What the service registers when it has everything that it may have; Kafka itself need not answer. */
beforeAll(async () => {
  const HISTORY_DIR = mkdtempSync(join(tmpdir(), 'flasktoria-operations-'))
  const environment = { PORT: '0', HISTORY_DIR, KAFKA_BROKERS: `127.0.0.1:${await freePort()}` }
  const config = readConfig(configSchema, environment, optionNames)
  const ingest = await start(config, { log: createMemoryLog(), logger: createLogger('test', 'silent') })
  const own = ingest.metrics.registry.getMetricsAsArray() as unknown as {
    name: string
    type: unknown
    labelNames: string[]
  }[]
  registered = own
    .map(({ name, type, labelNames }) => ({ name, type, labels: labelNames.filter((label) => label !== 'le') }))
    .toSorted((a, b) => a.name.localeCompare(b.name))
  await ingest[Symbol.asyncDispose]()
  rmSync(HISTORY_DIR, { recursive: true, force: true })
}, 30_000)

test('the table of operations.md names every metric of kafka-ingest and its labels, and none that is gone', () => {
  const rows = [...table.matchAll(/^\| `(\w+)` \| (.*?) \|/gm)].map(([, name, labels]) => ({
    name,
    labels: [...labels!.matchAll(/`(\w+)`/g)].map(([, label]) => label),
  }))
  expect(rows.toSorted((a, b) => a.name!.localeCompare(b.name!))).toEqual(
    registered.map(({ name, labels }) => ({ name, labels })),
  )
})

test('alerts ask for metrics and labels that there are', () => {
  const asked = [
    ...alerts.matchAll(/(?:by \((\w+)\) \((?:\w+\()?)?(flasktoria_\w+?)(_(?:bucket|sum|count))?\b(?:\{(\w+)=)?/g),
  ]
  expect(asked.length).toBeGreaterThan(10)
  for (const [, by = 'le', name, part, filter] of asked) {
    const metric = registered.find((one) => one.name === name)
    expect(metric, name).toBeDefined()
    expect(metric?.type === 'histogram', `${name}: is it a histogram?`).toBe(part !== undefined)
    expect(['le', ...metric!.labels], name).toEqual(expect.arrayContaining([by, filter ?? 'le']))
  }
})

test('what it says of the doctor is what the doctor knows', () => {
  const asked = [...alerts.matchAll(/--only ([a-z,]+)/g)].flatMap(([, list]) => list!.split(','))
  expect(areas).toEqual(expect.arrayContaining(asked))
  for (const option of doctorOptions) expect(alerts).toContain(`\`${option}\``)
})
