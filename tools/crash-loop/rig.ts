import { randomBytes } from 'node:crypto'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { answersOk } from '../bench/processes.ts'
import {
  freePort,
  isListening,
  isRunning,
  launch,
  startDaemon,
  type Daemon,
  type DaemonPlan,
  type Server,
} from '../servers/daemon.ts'
import { createTopics, startKafka, type KafkaPlace } from '../servers/kafka.ts'
import { startRedis } from '../servers/redis.ts'

const root = join(import.meta.dirname, '..', '..')
const partitions = 4
export const topics = { sensor: 'crash.sensor', anomaly: 'crash.anomaly' }

/** A Redis as production runs it: what it acknowledged survives its own death. */
class RedisUnderTest {
  readonly url: string
  readonly #dir: string
  readonly #port: number
  #server: Server | undefined

  constructor(dir: string, port: number) {
    this.#dir = dir
    this.#port = port
    this.url = `redis://127.0.0.1:${port}`
  }

  async start(): Promise<void> {
    this.#server = await startRedis({ dir: this.#dir, port: this.#port, isPersistent: true })
  }
  async kill(): Promise<void> {
    await this.#server?.kill()
    this.#server = undefined
  }
  freeze(): void {
    process.kill(this.#server!.pid, 'SIGSTOP')
  }
  thaw(): void {
    process.kill(this.#server!.pid, 'SIGCONT')
  }

  /** Of one that was killed: lets somebody see what it would remember, where nobody else does. */
  async examine(read: (url: string) => Promise<void>): Promise<void> {
    const remembering = await startRedis({ dir: this.#dir, port: await freePort(), isPersistent: true })
    await read(remembering.url)
    await remembering.kill()
  }

  /** Of one that was killed. */
  forget(): void {
    for (const name of ['appendonlydir', 'appendonly.aof', 'dump.rdb'])
      rmSync(join(this.#dir, name), { recursive: true, force: true })
  }
}

/** One of our processes, to be killed and started as a platform would. */
class ServiceUnderTest {
  readonly name: string
  readonly url: string
  readonly #plan: DaemonPlan
  #daemon: Daemon | undefined

  constructor(plan: DaemonPlan) {
    this.#plan = plan
    this.name = plan.name
    this.url = `http://127.0.0.1:${plan.port}`
  }

  /** Resolves when it runs, not when it is ready. */
  async launch(): Promise<void> {
    this.#daemon = await launch(this.#plan)
  }
  async start(): Promise<void> {
    this.#daemon = await startDaemon(this.#plan, () => isListening(this.#plan.port!), 60_000)
  }
  async kill(): Promise<void> {
    await this.#daemon?.kill()
    this.#daemon = undefined
  }
  freeze(): void {
    this.#signal('SIGSTOP')
  }
  thaw(): void {
    this.#signal('SIGCONT')
  }
  /** Though nobody killed it. */
  get hasEnded(): boolean {
    return this.#daemon !== undefined && !isRunning(this.#daemon.pid)
  }
  isReady(): Promise<boolean> {
    return answersOk(`${this.url}/readyz`)
  }
  /** Names of the checks, and what each says. */
  async readiness(): Promise<{ status: number; checks: Record<string, string> }> {
    const response = await fetch(`${this.url}/readyz`)
    const { checks } = (await response.json()) as { checks: Record<string, string> }
    return { status: response.status, checks }
  }
  async metric(name: string): Promise<number> {
    const text = await (await fetch(`${this.url}/metrics`)).text()
    const found = [...text.matchAll(new RegExp(`^flasktoria_${name}(?:\\{[^}]*\\})? (\\S+)`, 'gm'))]
    return found.reduce((sum, [, value]) => sum + Number(value), 0)
  }

  #signal(signal: NodeJS.Signals): void {
    try {
      if (this.#daemon) process.kill(this.#daemon.pid, signal)
    } catch {
      // It was killed meanwhile.
    }
  }
}

export type RigOptions = {
  dir: string
  redisPort?: number
  /** How long a member of the consumer group may be silent. */
  sessionTimeoutMs: number
  /** What the services are told about Redis instead of where it is. */
  redisUrl?: string
}

/** Two ingests in one group and a hub, with a Kafka and a Redis of their own; each is a process that may be killed. */
export async function startRig({ dir, sessionTimeoutMs, redisPort, redisUrl }: RigOptions) {
  await using parts = new AsyncDisposableStack()
  const redis = new RedisUnderTest(join(dir, 'redis'), redisPort ?? (await freePort()))
  const place: KafkaPlace = {
    dir: join(dir, 'kafka'),
    port: await freePort(),
    controllerPort: await freePort(),
    clusterId: randomBytes(16).toString('base64url'),
  }
  let broker: Server | undefined
  const kafka = {
    place,
    brokers: `127.0.0.1:${place.port}`,
    start: async () => void (broker = await startKafka(place)),
    kill: async () => broker?.kill(),
  }
  parts.defer(() => redis.kill())
  parts.defer(kafka.kill)
  await Promise.all([redis.start(), kafka.start()])
  await createTopics(kafka.brokers, Object.values(topics), partitions)

  const service = async (name: string, program: string, env: Record<string, string>) => {
    const port = await freePort()
    const one = new ServiceUnderTest({
      name,
      dir,
      cwd: root,
      port,
      command: [process.execPath, '--disable-warning=TimeoutNegativeWarning', join(root, program)],
      env: {
        HOST: '127.0.0.1',
        PORT: String(port),
        REDIS_URL: redisUrl ?? redis.url,
        LOG_LEVEL: 'info',
        ...env,
      },
    })
    parts.defer(() => one.kill())
    return one
  }
  const ingestEnv = {
    KAFKA_BROKERS: kafka.brokers,
    KAFKA_START: 'earliest',
    KAFKA_SESSION_TIMEOUT_MS: String(sessionTimeoutMs),
    KAFKA_TOPIC_CHECK_MS: '2000',
    // However long something was away: each reading counts here.
    MAX_BACKLOG_MS: String(3_600_000),
    SENSOR_TOPICS: topics.sensor,
    ANOMALY_TOPICS: topics.anomaly,
  }
  const ingests = [
    await service('kafka-ingest-1', 'services/kafka-ingest/src/main.ts', ingestEnv),
    await service('kafka-ingest-2', 'services/kafka-ingest/src/main.ts', ingestEnv),
  ]
  const hub = await service('stream-hub', 'services/stream-hub/src/main.ts', {})
  await Promise.all([...ingests, hub].map((one) => one.start()))
  const running = parts.move()
  return { redis, kafka, ingests, hub, [Symbol.asyncDispose]: () => running.disposeAsync() }
}
