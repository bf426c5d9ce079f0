import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../../servers/daemon.ts'
import { cpuSeconds, type Figures } from '../measure.ts'
import { linesOf, measuredCore, pin } from '../processes.ts'
import type { Native } from './native.ts'
import { startSwarm } from './swarm.ts'

/** What a contestant sent, for each client alike. */
export type Traffic = { clients: number; bytesPerFrame: number; framesPerSecond: number }

/** The same bytes to the same number of sockets, by a loop of send() in C. */
export async function runBareSend(
  traffic: Traffic,
  native: Native,
  { dir, seconds }: { dir: string; seconds: number },
): Promise<Figures> {
  const port = await freePort()
  const { clients, bytesPerFrame, framesPerSecond } = traffic
  const words = [port, clients, Math.max(16, Math.round(bytesPerFrame)), framesPerSecond].map(String)
  const sender = pin(measuredCore, [native['bare-send'], ...words])
  try {
    await linesOf(sender).next()
    using swarm = await startSwarm({ program: native.swarm, dir, port, path: '/', clients })
    await swarm.count()
    const before = cpuSeconds(sender.pid!)
    await sleep(seconds * 1_000)
    const spent = cpuSeconds(sender.pid!) - before
    const { messages } = await swarm.count()
    return { clients, 'CPU %': (spent / seconds) * 100, 'CPU µs / frame': (spent * 1e6) / messages }
  } finally {
    sender.kill()
  }
}
