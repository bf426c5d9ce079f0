import { join } from 'node:path'
import { findDaemon, freePort, type Server } from '../servers/daemon.ts'
import { startHs2 } from '../servers/hs2.ts'
import { startKafka } from '../servers/kafka.ts'
import { startRedis } from '../servers/redis.ts'
import { say } from '../servers/run.ts'
import type { TestServer } from './needs.ts'

/** Where tests read the address of each server, and how to start one. */
const starters: Record<TestServer, { variable: string; start: (dir: string, port: number) => Promise<Server> }> = {
  redis: { variable: 'REDIS_URL', start: (dir, port) => startRedis({ dir, port, isPersistent: false }) },
  kafka: {
    variable: 'KAFKA_BROKERS',
    start: async (dir, port) => startKafka({ dir, port, controllerPort: await freePort() }),
  },
  hs2: { variable: 'HS2_URL', start: (dir, port) => startHs2({ dir, port, heapMb: 700 }) },
}

/** Starts the servers that the environment does not name yet, all at once, and puts their addresses there. */
export async function startTestServers(names: Iterable<TestServer>, dir: string): Promise<void> {
  const starts = [...names].map(async (name) => {
    const { variable, start } = starters[name]
    if (process.env[variable]) return
    say(`starting ${name} …`)
    const server = await start(join(dir, name), await freePort())
    process.env[variable] = server.url
    say(`${name} answers at ${server.url}`)
  })
  const failure = (await Promise.allSettled(starts)).find((outcome) => outcome.status === 'rejected')
  if (failure) throw failure.reason
}

/** Ends what `startTestServers` started in this folder, also what still starts. */
export const stopTestServers = (names: Iterable<TestServer>, dir: string) =>
  Promise.all([...names].map(async (name) => findDaemon({ dir: join(dir, name), name })?.kill()))
