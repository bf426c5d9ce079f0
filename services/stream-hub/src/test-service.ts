import { createMemoryLog } from '@flasktoria/live-log/log-memory'
import { createMemoryMutes } from '@flasktoria/live-log/mutes-memory'
import { createLogger } from '@flasktoria/service-kit/logger'
import { afterEach } from 'vitest'
import { configSchema } from './config.ts'
import { start } from './main.ts'
import { TestSocket } from './test-socket.ts'

let cleanup = new AsyncDisposableStack()
afterEach(async () => {
  await cleanup.disposeAsync()
  cleanup = new AsyncDisposableStack()
})

export const silent = createLogger('stream-hub', 'silent')

/** The whole service on a port of its own, over a log and mutes in memory; ends with the test. */
export async function startHub(
  environment: Record<string, string> = {},
  log = createMemoryLog(),
  mutes = createMemoryMutes(),
) {
  const config = configSchema.parse({ PORT: '0', DRAIN_MS: '50', ...environment })
  const hub = await start(config, { reader: log, mutes, logger: silent })
  cleanup.use(hub)
  const connected = async (opening: Promise<TestSocket>) => cleanup.adopt(await opening, (client) => client.end())
  const get = (path: string) => fetch(`http://127.0.0.1:${hub.port}${path}`)
  return {
    hub,
    log,
    mutes,
    get,
    plain: (path = '/', headers = {}) => connected(TestSocket.open(`${hub.url}${path}`, { headers })),
    v2: (path = '/', headers = {}) => connected(TestSocket.v2(`${hub.url}${path}`, { headers })),
    metric: async (name: string) => {
      const line = new RegExp(`^flasktoria_${name}(?:\\{.*\\})? (.*)$`, 'm').exec(await (await get('/metrics')).text())
      return Number(line?.[1])
    },
  }
}
