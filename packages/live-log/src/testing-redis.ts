import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** The Redis that npm test started. */
export function redisUrl(): string {
  // oxlint-disable-next-line node/no-process-env -- tests are told by environment which servers they have
  const url = process.env['REDIS_URL']
  if (!url) throw new Error('REDIS_URL names no Redis; npm test starts one')
  return url
}

// oxlint-disable-next-line node/no-process-env -- and which program that is
const program = process.env['REDIS_SERVER'] || 'redis-server'

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  if (typeof address !== 'object' || !address) throw new Error('no port')
  return address.port
}

/** A Redis of one test's own, to be stopped, killed and frozen. Over a restart it remembers what was saved on purpose. */
export async function ownRedis() {
  const dir = mkdtempSync(join(tmpdir(), 'flasktoria-redis-'))
  const port = await freePort()
  let child: ChildProcess | undefined
  const start = async () => {
    child = spawn(program, [
      '--port',
      String(port),
      '--bind',
      '127.0.0.1',
      '--dir',
      dir,
      '--save',
      '',
      '--loglevel',
      'notice',
    ])
    await once(child, 'spawn')
    for await (const chunk of child.stdout!) if (String(chunk).includes('Ready to accept connections')) break
    child.stdout!.resume()
  }
  const kill = async () => {
    const dying = child
    child = undefined
    if (!dying) return
    const gone = once(dying, 'exit')
    dying.kill('SIGKILL')
    await gone
  }
  await start()
  return {
    url: `redis://127.0.0.1:${port}`,
    start,
    kill,
    freeze: () => void child?.kill('SIGSTOP'),
    thaw: () => void child?.kill('SIGCONT'),
    [Symbol.asyncDispose]: async () => {
      await kill()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

/** A Sentinel that watches one Redis, known as `fleet`, and fails over on its own word. */
export async function ownSentinel(redis: string) {
  const dir = mkdtempSync(join(tmpdir(), 'flasktoria-sentinel-'))
  const [port, { hostname, port: redisPort }] = [await freePort(), new URL(redis)]
  const file = join(dir, 'sentinel.conf')
  writeFileSync(
    file,
    [
      `port ${port}`,
      'bind 127.0.0.1',
      `dir ${dir}`,
      `sentinel monitor fleet ${hostname} ${redisPort} 1`,
      'sentinel down-after-milliseconds fleet 1000',
      'sentinel failover-timeout fleet 5000',
    ].join('\n'),
  )
  const child = spawn(program, [file, '--sentinel'])
  for await (const chunk of child.stdout) if (String(chunk).includes('+monitor')) break
  child.stdout.resume()
  return {
    url: `redis://127.0.0.1:${port}?master=fleet`,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL')
      await once(child, 'exit')
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

/** A way to Redis on which connections can go silent without being closed, as behind a firewall that forgot them. */
export async function silenceableProxy(port: number) {
  const inbound: { socket: Socket; isSubscription: boolean; isSilent: boolean }[] = []
  const server = createServer((socket) => {
    const way = { socket, isSubscription: false, isSilent: false }
    inbound.push(way)
    const outbound = connect(port, '127.0.0.1')
    socket.on('data', (bytes) => {
      way.isSubscription ||= /subscribe/i.test(bytes.toString('latin1'))
      if (!way.isSilent) outbound.write(bytes)
    })
    outbound.on('data', (bytes) => {
      if (!way.isSilent) socket.write(bytes)
    })
    for (const [one, other] of [
      [socket, outbound],
      [outbound, socket],
    ] as const) {
      one.on('error', () => other.destroy())
      one.on('close', () => other.destroy())
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (typeof address !== 'object' || !address) throw new Error('no port')
  return {
    url: `redis://127.0.0.1:${address.port}`,
    get connections() {
      return inbound.length
    },
    /** Those that are open now; later ones are heard. */
    silence: () => inbound.forEach((way) => (way.isSilent = true)),
    silenceSubscriptions: () => inbound.forEach((way) => (way.isSilent ||= way.isSubscription)),
    [Symbol.asyncDispose]: async () => {
      for (const { socket } of inbound) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
