import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, startDaemon } from '../servers/daemon.ts'
import { answersHttp } from '../servers/nginx.ts'
import { readState } from '../stack/state.ts'
import type { StackUnderTest } from './stack-under-test.ts'

/** How many sessions each hub has, by its URL. */
export async function sessionsOf(urls: readonly string[]): Promise<number[]> {
  return Promise.all(
    urls.map(async (url) => {
      const metrics = await (await fetch(`${url}/metrics`)).text()
      const sessions = [...metrics.matchAll(/^flasktoria_stream_sessions(?:\{[^}]*\})? (\d+)/gm)]
      return sessions.reduce((sum, [, count]) => sum + Number(count), 0)
    }),
  )
}

/** Tells nginx of a hub that is not there yet. What is connected to nginx is cut off by its new workers, so: before that. */
export async function announceHub(stack: StackUnderTest): Promise<number> {
  const port = await freePort()
  const file = join(stack.dir, 'nginx', 'upstreams.conf')
  const line = /^( *server )127\.0\.0\.1:\d+(.*)$/gm
  const [head, hubs] = readFileSync(file, 'utf8').split(/(?=upstream stream_hub)/)
  const [last] = [...hubs!.matchAll(line)].slice(-1)
  const text = `${last![0]}\n${last![1]}127.0.0.1:${port}${last![2]}`
  writeFileSync(file, head + hubs!.replace(last![0], text))
  const [pid] = await stack.pidsOf('nginx')
  process.kill(pid!, 'SIGHUP')
  return port
}

/** Another hub of the stack, beside those that its commands know. */
export async function startHub(stack: StackUnderTest, port: number) {
  const hub = readState(stack.dir)!.services.find(({ name }) => name === 'stream-hub')!
  const url = `http://127.0.0.1:${port}`
  const plan = { ...hub.plan, name: 'stream-hub-3', port, env: { ...hub.plan.env, PORT: String(port) } }
  const daemon = await startDaemon(plan, () => answersHttp(`${url}/readyz`, true), 30_000)
  return { url, stop: () => daemon.stop() }
}
