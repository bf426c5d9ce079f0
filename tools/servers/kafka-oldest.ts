import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isListening, startDaemon, type Daemon, type DaemonPlan, type Server } from './daemon.ts'
import { answersKafka } from './kafka.ts'
import { kafkaJars } from './kafka-jars.ts'
import { findTool } from './packages.ts'

export type OldestKafkaPlace = { dir: string; port: number; zookeeperPort: number }

const zookeeperSettings = ({ dir, zookeeperPort }: OldestKafkaPlace) => ({
  dataDir: join(dir, 'zookeeper'),
  clientPort: zookeeperPort,
  clientPortAddress: '127.0.0.1',
  maxClientCnxns: 0,
  tickTime: 500,
})

const kafkaSettings = ({ dir, port, zookeeperPort }: OldestKafkaPlace) => ({
  'broker.id': 1,
  listeners: `PLAINTEXT://127.0.0.1:${port}`,
  'zookeeper.connect': `127.0.0.1:${zookeeperPort}`,
  'log.dirs': join(dir, 'data'),
  'auto.create.topics.enable': false,
  'offsets.topic.replication.factor': 1,
  'offsets.topic.num.partitions': 1,
  'group.initial.rebalance.delay.ms': 0,
  'log.cleaner.dedupe.buffer.size': 8_388_608,
})

const logging = `log4j.rootLogger=WARN, console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d %p %m%n
`

/** Kafka 1.1.1 and the ZooKeeper that it needs, on 127.0.0.1: the oldest broker that platforms still have. It runs on a JDK of today. */
export async function startOldestKafka(place: OldestKafkaPlace): Promise<Server> {
  const { dir, port, zookeeperPort } = place
  const [java, jars] = [await findTool('java'), await kafkaJars('kafka-1.1.1')]
  mkdirSync(dir, { recursive: true })
  const write = (name: string, text: string) => {
    writeFileSync(join(dir, name), text)
    return join(dir, name)
  }
  const settingsFile = (name: string, settings: object) =>
    write(
      name,
      Object.entries(settings)
        .map(([key, value]) => `${key}=${value}\n`)
        .join(''),
    )
  const log = `-Dlog4j.configuration=file:${write('log4j.properties', logging)}`
  const plan = (name: string, daemonPort: number, heap: string, ...main: string[]): DaemonPlan => ({
    name,
    dir,
    port: daemonPort,
    command: [java, heap, '-XX:+UseSerialGC', log, '-Dzookeeper.jmx.log4j.disable=true', '-cp', jars, ...main],
  })
  const zookeeper = plan(
    'zookeeper',
    zookeeperPort,
    '-Xmx96m',
    'org.apache.zookeeper.server.quorum.QuorumPeerMain',
    settingsFile('zookeeper.properties', zookeeperSettings(place)),
  )
  const kafka = plan('kafka', port, '-Xmx256m', 'kafka.Kafka', settingsFile('server.properties', kafkaSettings(place)))
  const url = `127.0.0.1:${port}`
  const coordination = await startDaemon(zookeeper, () => isListening(zookeeperPort), 60_000)
  try {
    const broker = await startDaemon(kafka, () => answersKafka(url), 90_000)
    const both = (end: (daemon: Daemon) => Promise<void>) => async () => {
      await end(broker)
      await end(coordination)
    }
    return { pid: broker.pid, url, stop: both((daemon) => daemon.stop()), kill: both((daemon) => daemon.kill()) }
  } catch (error) {
    await coordination.kill()
    throw error
  }
}
