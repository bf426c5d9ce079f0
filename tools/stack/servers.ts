import { join } from 'node:path'
import { type DaemonPlan } from '../servers/daemon.ts'
import { planHs2 } from '../servers/hs2.ts'
import { planKafka } from '../servers/kafka.ts'
import { planNginx } from '../servers/nginx.ts'
import { planRedis } from '../servers/redis.ts'
import type { StackOptions } from './options.ts'
import type { StackPorts } from './ports.ts'
import type { StackService, StackState } from './state.ts'

/** The last four are those of topics.json. */
const topics = {
  sensor: 'fleet.sensor',
  sensorV5: 'fleet.sensor.v5',
  anomaly: 'fleet.anomaly',
  envelopeSource: 'fleet.envelope.source',
  envelopeHostIp: 'fleet.envelope.host-ip',
  confluent: 'fleet.confluent',
  json: 'fleet.json',
} as const
/** Which file a schema id of the `confluent` topic means. */
const schemaFiles = { 1: join(import.meta.dirname, 'sensor.avsc') }
export const partitionsPerTopic = 4

/** The servers that the environment names are not ours to start or stop. */
export const outside = () => ({
  kafka: process.env['KAFKA_BROKERS'] || undefined,
  redis: process.env['REDIS_URL'] || undefined,
  hs2: process.env['HS2_URL'] || undefined,
})

/** The servers of the stack: where they are, and how to start those that are ours. Fetches what is missing. */
export async function planServers({ dir, port }: StackOptions, ports: StackPorts) {
  const given = outside()
  const services: StackService[] = []
  // All logs and pids of a stack lie side by side, whatever folder a server keeps its data in.
  const add = (name: string, url: string, plan: DaemonPlan) => {
    services.push({ name, url, readiness: 'server', plan: { ...plan, name, dir, cwd: plan.cwd ?? plan.dir } })
    return url
  }
  const own = (name: string) => join(dir, name)
  const redis =
    given.redis ??
    add(
      'redis',
      `redis://127.0.0.1:${ports.redis}`,
      await planRedis({ dir: own('redis'), port: ports.redis, isPersistent: true }),
    )
  const { kafka: kafkaPort, kafkaController: controllerPort } = ports
  const brokers = given.kafka ?? `127.0.0.1:${kafkaPort}`
  if (given.kafka === undefined)
    add('kafka', `kafka://${brokers}`, await planKafka({ dir: own('kafka'), port: kafkaPort, controllerPort }))
  const hs2 =
    given.hs2 ??
    add(
      'warehouse',
      `hive2://127.0.0.1:${ports.warehouse}/?auth=NOSASL`,
      await planHs2({ dir: own('warehouse'), port: ports.warehouse }),
    )
  const addresses: Pick<StackState, 'origin' | 'kafka' | 'redis' | 'hs2'> = {
    origin: `http://127.0.0.1:${port}`,
    kafka: { brokers, topics, schemaFiles },
    redis: { url: redis },
    hs2: { url: hs2 },
  }
  return { addresses, services }
}

export async function planOrigin({ dir, port }: StackOptions, ports: StackPorts, root: string): Promise<StackService> {
  const place = { dir: join(dir, 'nginx'), port, root, queryApis: [ports.queryApi], streamHubs: ports.streamHubs }
  const plan = await planNginx(place)
  return {
    name: 'nginx',
    url: `http://127.0.0.1:${port}`,
    readiness: 'server',
    plan: { ...plan, dir, cwd: place.dir },
  }
}
