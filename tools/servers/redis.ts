import { mkdirSync } from 'node:fs'
import { connect } from 'node:net'
import { startDaemon, type DaemonPlan, type Server } from './daemon.ts'
import { findTool } from './packages.ts'

export type RedisPlace = { dir: string; port: number; isPersistent: boolean }

/** A Redis on 127.0.0.1. Persistent: what it acknowledged survives its own death, though not that of the machine. */
export async function planRedis({ dir, port, isPersistent }: RedisPlace): Promise<DaemonPlan> {
  const program = await findTool('redis')
  mkdirSync(dir, { recursive: true })
  const persistence = ['--appendonly', isPersistent ? 'yes' : 'no', '--appendfsync', 'everysec', '--save', '']
  const options = ['--port', String(port), '--bind', '127.0.0.1', '--dir', dir, '--daemonize', 'no', ...persistence]
  return { name: 'redis', dir, port, command: [program, ...options] }
}

/** Whether a Redis answers PING, and is done loading. */
export const answersPing = (port: number, host = '127.0.0.1') =>
  new Promise<boolean>((resolve) => {
    const socket = connect({ host, port, timeout: 1_000 }, () => socket.write('PING\r\n'))
    const settle = (isUp: boolean) => {
      socket.destroy()
      resolve(isUp)
    }
    // A server that wants a password, or is loading, answers with an error.
    socket.on('data', (reply) => settle(reply.toString().startsWith('+PONG')))
    socket.on('error', () => settle(false)).on('timeout', () => settle(false))
  })

export async function startRedis(place: RedisPlace): Promise<Server> {
  const daemon = await startDaemon(await planRedis(place), () => answersPing(place.port), 30_000)
  return { ...daemon, url: `redis://127.0.0.1:${place.port}` }
}
