import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import { startDaemon, type DaemonPlan, type Server } from './daemon.ts'
import { kafkaJars } from './kafka-jars.ts'
import { findTool } from './packages.ts'
import { run, Sentence, tail } from './run.ts'

export type KafkaPlace = {
  dir: string
  port: number
  controllerPort: number
  /** Beside those of a small broker, or instead of them: lines of `server.properties`. */
  settings?: Record<string, string | number | boolean>
  /** For the format of the storage, such as `--add-scram`. */
  format?: readonly string[]
  /** Of all nodes of a cluster the same. */
  clusterId?: string
}

const settingsOf = ({ dir, port, controllerPort, settings }: KafkaPlace) => ({
  'process.roles': 'broker,controller',
  'node.id': 1,
  'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
  listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
  'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
  'controller.listener.names': 'CONTROLLER',
  'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT',
  'inter.broker.listener.name': 'PLAINTEXT',
  'log.dirs': join(dir, 'data'),
  'auto.create.topics.enable': false,
  'offsets.topic.replication.factor': 1,
  'offsets.topic.num.partitions': 1,
  'transaction.state.log.replication.factor': 1,
  'transaction.state.log.min.isr': 1,
  'transaction.state.log.num.partitions': 1,
  'group.initial.rebalance.delay.ms': 0,
  'group.min.session.timeout.ms': 1_000,
  // A small broker that is soon back after a crash.
  'num.network.threads': 2,
  'num.io.threads': 2,
  'log.cleaner.dedupe.buffer.size': 8_388_608,
  'broker.heartbeat.interval.ms': 500,
  'broker.session.timeout.ms': 3_000,
  ...settings,
})

/** A one-node Kafka (KRaft) on 127.0.0.1. Formats the folder when it is new. */
export async function planKafka(place: KafkaPlace): Promise<DaemonPlan> {
  const { dir, port } = place
  const [java, jars] = [await findTool('java'), await kafkaJars('kafka-4.4.0')]
  // A killed JVM leaves its unpacked native libraries behind.
  const tmp = join(dir, 'tmp')
  mkdirSync(tmp, { recursive: true })
  const properties = join(dir, 'server.properties')
  const lines = Object.entries(settingsOf(place)).map(([key, value]) => `${key}=${value}\n`)
  writeFileSync(properties, lines.join(''))
  const system = [`-Djava.io.tmpdir=${tmp}`, '-Dorg.slf4j.simpleLogger.showDateTime=true']
  const jvm = ['-XX:+UseSerialGC', ...system, '-cp', jars] as const
  if (!existsSync(join(dir, 'data', 'meta.properties'))) {
    const { clusterId = randomBytes(16).toString('base64url'), format: more = [] } = place
    // In one word: an id may begin with a dash.
    const format = ['kafka.tools.StorageTool', 'format', `--cluster-id=${clusterId}`, '-c', properties, ...more]
    const outcome = await run([java, '-Xmx128m', '-XX:TieredStopAtLevel=1', ...jvm, ...format])
    if (!outcome.ok) throw new Sentence(`Kafka could not format ${dir}: ${tail(outcome)}`)
  }
  const heap = ['-Xms64m', '-Xmx320m', '-XX:+ExitOnOutOfMemoryError']
  return { name: 'kafka', dir, port, command: [java, ...heap, ...jvm, 'kafka.Kafka', properties] }
}

const kafkaAdmin = (brokers: string) =>
  new Kafka({
    brokers: brokers.split(','),
    clientId: 'flasktoria-tools',
    connectionTimeout: 1_000,
    retry: { retries: 0 },
    logLevel: logLevel.NOTHING,
  }).admin()

/** Whether a cluster has a controller that answers. */
export async function answersKafka(brokers: string): Promise<boolean> {
  const admin = kafkaAdmin(brokers)
  try {
    await admin.connect()
    const { controller } = await admin.describeCluster()
    return controller !== null
  } catch {
    return false
  } finally {
    await admin.disconnect()
  }
}

export async function startKafka(place: KafkaPlace): Promise<Server> {
  const brokers = `127.0.0.1:${place.port}`
  const daemon = await startDaemon(await planKafka(place), () => answersKafka(brokers), 90_000)
  return { ...daemon, url: brokers }
}

/** Creates the topics that do not exist. Retention counts from a record's arrival: recordings carry times of long ago. */
export async function createTopics(brokers: string, topics: readonly string[], numPartitions: number): Promise<void> {
  const admin = kafkaAdmin(brokers)
  try {
    await admin.connect()
    const existing = new Set(await admin.listTopics())
    const configEntries = [{ name: 'message.timestamp.type', value: 'LogAppendTime' }]
    const missing = topics.filter((topic) => !existing.has(topic))
    if (missing.length > 0)
      await admin.createTopics({
        waitForLeaders: true,
        topics: missing.map((topic) => ({ topic, numPartitions, configEntries })),
      })
  } finally {
    await admin.disconnect()
  }
}
