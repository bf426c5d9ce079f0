import { join } from 'node:path'
import type { DaemonPlan } from '../servers/daemon.ts'
import type { StackOptions } from './options.ts'
import type { StackPorts } from './ports.ts'
import type { StackService, StackState } from './state.ts'

const root = join(import.meta.dirname, '..', '..')
// kafkajs asks for timers in the past, which Node warns about once per process.
const program = (path: string, flags: readonly string[] = []) =>
  [process.execPath, '--disable-warning=TimeoutNegativeWarning', ...flags, join(root, path)] as const

/** As in the Dockerfile. */
export const queryApiFlags = ['--max-semi-space-size=8'] as const

/** Where everything is that our processes use. */
export type Surroundings = Pick<StackState, 'kafka' | 'redis' | 'hs2'> & { ports: StackPorts; historyDir: string }

type Env = Record<string, string>

const kafkaTopics = ({ brokers, topics }: StackState['kafka']): Env => ({
  KAFKA_BROKERS: brokers,
  SENSOR_TOPICS: topics.sensor,
  SENSOR_V5_TOPICS: topics.sensorV5,
  ANOMALY_TOPICS: topics.anomaly,
})

/** Our own processes: no server, and the origin is not among them. */
export function planServices(options: StackOptions, surroundings: Surroundings): StackService[] {
  const { kafka, redis, hs2, ports, historyDir } = surroundings
  const service = (name: string, index: number | undefined, port: number, env: Env): StackService => {
    const plan: DaemonPlan = {
      name: index === undefined ? name : `${name}-${index + 1}`,
      dir: options.dir,
      cwd: root,
      port,
      command: program(`services/${name}/src/main.ts`, name === 'query-api' ? queryApiFlags : []),
      env: { HOST: '127.0.0.1', PORT: String(port), REDIS_URL: redis.url, ...env },
    }
    return { name, url: `http://127.0.0.1:${port}`, plan, readiness: 'http' }
  }
  // The topics are new, and nothing that was produced right after `up` may be missed.
  const topicsFile = join(import.meta.dirname, 'topics.json')
  const kafkaEnv = { ...kafkaTopics(kafka), TOPICS_FILE: topicsFile, KAFKA_START: 'earliest' }
  const historyEnv: Env = options.tables === 'own' ? { HISTORY_DIR: historyDir, HS2_URL: hs2.url } : {}
  const warehouseEnv = { WAREHOUSE: 'hs2', HS2_URL: hs2.url, TABLE_PROFILE: options.tables }
  return [
    ...ports.ingests.map((port, index) => service('kafka-ingest', index, port, { ...kafkaEnv, ...historyEnv })),
    service('query-api', undefined, ports.queryApi, warehouseEnv),
    ...ports.streamHubs.map((port, index) => service('stream-hub', index, port, {})),
  ]
}

/** It produces like a real fleet, and has no port, so `status` does not name it. */
export const planSimulator = (options: StackOptions, { kafka }: Surroundings): StackService => ({
  name: 'simulator',
  url: '',
  readiness: 'none',
  plan: {
    name: 'simulator',
    dir: options.dir,
    cwd: root,
    command: program('services/kafka-ingest/src/simulate.ts'),
    env: { ...kafkaTopics(kafka), SIMULATOR_VEHICLES: String(options.simulate) },
  },
})
