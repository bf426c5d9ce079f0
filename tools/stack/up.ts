import { join } from 'node:path'
import { findDaemon, startDaemon, type DaemonPlan } from '../servers/daemon.ts'
import { answersHs2 } from '../servers/hs2-client.ts'
import { answersKafka, createTopics } from '../servers/kafka.ts'
import { answersHttp } from '../servers/nginx.ts'
import { ensureTools, type Tool } from '../servers/packages.ts'
import { answersPing } from '../servers/redis.ts'
import { say } from '../servers/run.ts'
import { buildConsole } from './console.ts'
import { down, stopServices } from './down.ts'
import type { StackOptions } from './options.ts'
import { portsOf } from './ports.ts'
import { outside, partitionsPerTopic, planOrigin, planServers } from './servers.ts'
import { planServices, planSimulator } from './services.ts'
import { findService, readState, supervisorPlan, writeState, type StackService, type StackState } from './state.ts'
import { createTables } from './tables.ts'

/** What has to be on this machine; what is there is not installed. */
function neededTools(): Tool[] {
  const { kafka, redis, hs2 } = outside()
  const tools: Tool[] = ['nginx']
  if (!redis) tools.push('redis')
  if (!kafka || !hs2) tools.push('java')
  return tools
}

async function planStack(options: StackOptions): Promise<{ state: StackState; servers: StackService[] }> {
  const ports = portsOf(options.port)
  const { addresses, services: servers } = await planServers(options, ports)
  const surroundings = { ...addresses, ports, historyDir: join(options.dir, 'history') }
  const origin = await planOrigin(options, ports, await buildConsole())
  const services = [...servers, ...planServices(options, surroundings), origin]
  if (options.simulate > 0) services.push(planSimulator(options, surroundings))
  return { state: { ...addresses, services }, servers }
}

const isSame = (one: DaemonPlan, other: DaemonPlan | undefined) => JSON.stringify(one) === JSON.stringify(other)

/** Stops what an earlier `up` started and this one would start otherwise, or not at all. */
async function retire(dir: string, next: StackState): Promise<void> {
  const previous = readState(dir)
  if (!previous) return
  await findDaemon(supervisorPlan(dir))?.stop()
  const wanted = new Map(next.services.map(({ plan }) => [plan.name, plan]))
  await stopServices(previous.services.filter(({ plan }) => !isSame(plan, wanted.get(plan.name))))
}

function isReady(service: StackService, state: StackState): () => Promise<boolean> {
  const { name, url, plan } = service
  if (service.readiness === 'none') return async () => true
  if (name === 'redis') return () => answersPing(plan.port!)
  if (name === 'kafka') return () => answersKafka(state.kafka.brokers)
  if (name === 'warehouse') return () => answersHs2(url)
  return name === 'nginx' ? () => answersHttp(url, false) : () => answersHttp(`${url}/readyz`, true)
}

async function start(services: readonly StackService[], state: StackState): Promise<void> {
  const starts = services.map(async (service) => {
    if (!findService(service)) say(`starting ${service.plan.name} …`)
    await startDaemon(service.plan, isReady(service, state), 180_000)
  })
  const failure = (await Promise.allSettled(starts)).find((outcome) => outcome.status === 'rejected')
  if (failure) throw failure.reason
}

/** Brings the stack up, or to what the options now say. When that fails, nothing of it is left running. */
export async function up(options: StackOptions): Promise<void> {
  await ensureTools(...neededTools())
  const { state, servers } = await planStack(options)
  await retire(options.dir, state)
  writeState(options.dir, state)
  try {
    await start(servers, state)
    await Promise.all([
      createTopics(state.kafka.brokers, Object.values(state.kafka.topics), partitionsPerTopic),
      createTables(state.hs2.url, options.tables, join(options.dir, 'history')),
    ])
    await start(state.services, state)
    await startDaemon(supervisorPlan(options.dir), async () => true, 5_000)
  } catch (error) {
    await down(options.dir)
    throw error
  }
}
