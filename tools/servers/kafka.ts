import { createHash, randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import { cached } from './cache.ts'
import { startDaemon, type DaemonPlan, type Server } from './daemon.ts'
import { findTool } from './packages.ts'
import { run, say, Sentence, tail } from './run.ts'

const version = '4.4.0'
const coordinates = [
  { groupId: 'org.apache.kafka', artifactId: 'kafka_2.13', version },
  { groupId: 'org.slf4j', artifactId: 'slf4j-simple', version: '1.7.36' },
]

const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>flasktoria</groupId><artifactId>kafka</artifactId><version>1</version>
  <dependencies>
${coordinates
  .map((jar) => Object.entries(jar).map(([tag, text]) => `<${tag}>${text}</${tag}>`))
  .map((tags) => `    <dependency>${tags.join('')}</dependency>`)
  .join('\n')}
  </dependencies>
</project>
`

/** The hashes of all jars, as `sha256sum` writes them. */
const pinned = () =>
  readFileSync(new URL('kafka.sha256', import.meta.url), 'utf8')
    .trim()
    .split('\n')

function verify(folder: string) {
  const found = readdirSync(folder)
    .toSorted()
    .map(
      (jar) =>
        `${createHash('sha256')
          .update(readFileSync(join(folder, jar)))
          .digest('hex')}  ${jar}`,
    )
  const wanted = new Set(pinned())
  const strangers = found.filter((line) => !wanted.has(line))
  if (strangers.length > 0 || found.length !== wanted.size)
    throw new Sentence(`the Kafka jars are not those of kafka.sha256: ${strangers.join(', ') || 'some are missing'}`)
}

/** The folder whose `lib` holds Kafka's jars, fetched by Maven on first use. */
const kafkaJars = () =>
  cached(`kafka-${version}`, async (folder) => {
    const maven = await findTool('maven')
    say(`fetching Kafka ${version} (43 MB) …`)
    writeFileSync(join(folder, 'pom.xml'), pom)
    const goal = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies'
    // -C: a file whose checksum is wrong or missing is an error.
    const options = ['-B', '-q', '-C', '-DincludeScope=runtime', '-DoutputDirectory=lib']
    const fetch = await run([maven, ...options, goal], { cwd: folder })
    if (!fetch.ok) throw new Sentence(`Maven could not fetch Kafka ${version}: ${tail(fetch)}`)
    verify(join(folder, 'lib'))
  })

export type KafkaPlace = { dir: string; port: number; controllerPort: number }

const settings = ({ dir, port, controllerPort }: KafkaPlace) => ({
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
})

/** A one-node Kafka (KRaft) on 127.0.0.1. Formats the folder when it is new. */
export async function planKafka(place: KafkaPlace): Promise<DaemonPlan> {
  const { dir, port } = place
  const [java, jars] = [await findTool('java'), await kafkaJars()]
  // A killed JVM leaves its unpacked native libraries behind.
  const tmp = join(dir, 'tmp')
  mkdirSync(tmp, { recursive: true })
  const properties = join(dir, 'server.properties')
  const lines = Object.entries(settings(place)).map(([key, value]) => `${key}=${value}\n`)
  writeFileSync(properties, lines.join(''))
  const system = [`-Djava.io.tmpdir=${tmp}`, '-Dorg.slf4j.simpleLogger.showDateTime=true']
  const jvm = ['-XX:+UseSerialGC', ...system, '-cp', join(jars, 'lib', '*')] as const
  if (!existsSync(join(dir, 'data', 'meta.properties'))) {
    const clusterId = randomBytes(16).toString('base64url')
    // In one word: an id may begin with a dash.
    const format = ['kafka.tools.StorageTool', 'format', `--cluster-id=${clusterId}`, '-c', properties]
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
