// npm start: the whole of Flasktoria in one process. A simulated fleet, or a recording, goes through the same code as records of Kafka.
import { parseArgs } from 'node:util'
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { configSchema as ingestSchema, optionNames as ingestNames } from '@flasktoria/kafka-ingest/config'
import { start as startIngest } from '@flasktoria/kafka-ingest/main'
import { createMemoryFeeds } from '@flasktoria/live-log/feeds-memory'
import { createMemoryLog } from '@flasktoria/live-log/log-memory'
import { createMemoryMutes } from '@flasktoria/live-log/mutes-memory'
import { configSchema as querySchema, optionNames as queryNames } from '@flasktoria/query-api/config'
import { start as startQueryApi } from '@flasktoria/query-api/main'
import { ConfigError, readConfig } from '@flasktoria/service-kit/config'
import { runUntilSignal } from '@flasktoria/service-kit/lifecycle'
import { configSchema as hubSchema, optionNames as hubNames } from '@flasktoria/stream-hub/config'
import { start as startHub } from '@flasktoria/stream-hub/main'
import { serveOrigin } from './local-origin.ts'
import { buildConsole } from './stack/console.ts'

const usage = `usage: npm start [-- --recording FILE.csv.gz [--speed N]]
  --recording FILE   replay vehicle_id,timestamp_ms,sensor,value (.csv or .csv.gz) as if it happened now
  --speed N          N times as fast as it happened
PORT moves the origin (8080); SIMULATOR_VEHICLES changes the simulated fleet (50).`

type Choice = { recording?: string | undefined; speed?: string | undefined }

/** @throws ConfigError with the usage */
function readChoice(args: string[]): Choice {
  try {
    const { recording, speed } = parseArgs({
      args,
      options: { recording: { type: 'string' }, speed: { type: 'string' } },
    }).values
    if (speed !== undefined && recording === undefined) throw new Error('--speed needs a --recording')
    if (recording !== undefined && !existsSync(recording)) throw new Error(`there is no recording ${recording}`)
    return { recording, speed }
  } catch (error) {
    throw new ConfigError(`${error instanceof Error ? error.message : String(error)}\n${usage}`, { cause: error })
  }
}

/** The environment of each service: what the user set, under what makes them one process. */
function environments({ recording, speed }: Choice, historyDir: string) {
  const { REDIS_URL: _redis, KAFKA_BROKERS: _kafka, HS2_URL: _hs2, ...own } = process.env
  const common = { ...own, HOST: '127.0.0.1', PORT: '0', LOG_LEVEL: process.env['LOG_LEVEL'] ?? 'warn' }
  const source =
    recording === undefined
      ? { SOURCE: 'simulator' }
      : { SOURCE: 'recording', RECORDING_FILE: recording, RECORDING_SPEED: speed ?? '1' }
  return {
    ingest: { HISTORY_FLUSH_INTERVAL_MS: '5000', ...common, ...source, HISTORY_DIR: historyDir },
    query: { ...common, WAREHOUSE: 'duckdb', HISTORY_DIR: historyDir },
    hub: common,
  }
}

async function startLocal(choice: Choice, port: number, dir: string): Promise<AsyncDisposable & { url: string }> {
  await using parts = new AsyncDisposableStack()
  const historyDir = join(dir, 'history')
  mkdirSync(historyDir, { recursive: true })
  const consoleFolder = await buildConsole()
  const { ingest, query, hub } = environments(choice, historyDir)

  const log = createMemoryLog()
  const mutes = createMemoryMutes()
  const feeds = createMemoryFeeds()
  const shared = { reader: log, mutes, feeds }
  const queryApi = parts.use(await startQueryApi(readConfig(querySchema, query, queryNames), shared))
  const streamHub = parts.use(await startHub(readConfig(hubSchema, hub, hubNames), shared))
  const origin = await serveOrigin({ port, api: queryApi.app, hubUrl: streamHub.url, consoleFolder })
  parts.defer(() => origin.close())
  parts.use(await startIngest(readConfig(ingestSchema, ingest, ingestNames), { log, feeds }))

  const running = parts.move()
  return { url: origin.url, [Symbol.asyncDispose]: () => running.disposeAsync() }
}

const readPort = (text = '8080'): number => {
  const port = Number(text)
  if (Number.isInteger(port) && port >= 0 && port < 65_536) return port
  throw new ConfigError(`PORT: ${text} is no port`)
}

await runUntilSignal(async () => {
  const choice = readChoice(process.argv.slice(2))
  const port = readPort(process.env['PORT'])
  try {
    const local = await startLocal(choice, port, 'var')
    console.log(`
  Flasktoria shows ${choice.recording ?? 'a simulated fleet'}

  the fleet     ${local.url}/
  the API       ${local.url}/api/ui/
  the socket    ${local.url.replace('http', 'ws')}/ws

  Ctrl-C ends it; its data stays in ./var
`)
    return local
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE')
      throw new ConfigError(`port ${port} is taken; choose another one: PORT=8090 npm start`, { cause: error })
    throw error
  }
})
