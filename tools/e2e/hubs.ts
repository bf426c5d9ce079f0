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

/** Another hub of the stack, beside those that its commands know, and of which nginx is told. */
export async function addHub(stack: StackUnderTest) {
  const hub = readState(stack.dir)!.services.find(({ name }) => name === 'stream-hub')!
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const plan = { ...hub.plan, name: 'stream-hub-3', port, env: { ...hub.plan.env, PORT: String(port) } }
  const daemon = await startDaemon(plan, () => answersHttp(`${url}/readyz`, true), 30_000)
  const file = join(stack.dir, 'nginx', 'upstreams.conf')
  const text = readFileSync(file, 'utf8')
  const known = new RegExp(`^ *server 127\\.0\\.0\\.1:${hub.plan.port} .*\n`, 'm')
  writeFileSync(
    file,
    text.replace(known, (line) => line + line.replace(`:${hub.plan.port} `, `:${port} `)),
  )
  const [nginx] = await stack.pidsOf('nginx')
  process.kill(nginx!, 'SIGHUP')
  return { url, stop: () => daemon.stop() }
}
