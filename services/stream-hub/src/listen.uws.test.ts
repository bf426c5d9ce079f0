import { createMetrics } from '@flasktoria/service-kit/metrics'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { configSchema } from './config.ts'
import { listen } from './listen.ts'
import { silent, startHub } from './test-service.ts'
import { eventually } from './test-socket.ts'

/** A Node where the addon does not load. */
const withoutAddon = `import { registerHooks } from 'node:module'
  registerHooks({ resolve(name, context, next) {
    if (name === 'uWebSockets.js') throw new Error('no such addon')
    return next(name, context)
  } })`
const command = [
  `--import=data:text/javascript,${encodeURIComponent(withoutAddon)}`,
  fileURLToPath(new URL('main.ts', import.meta.url)),
]
const environment = { REDIS_URL: 'redis://127.0.0.1:1', PORT: '0' }

describe('the library of the sockets', () => {
  test.each(['uws', 'ws'] as const)('is %s when that is asked for, and the metrics say so', async (transport) => {
    const { get, v2 } = await startHub({ TRANSPORT: transport })
    await (await v2()).next('hello')
    expect(await (await get('/metrics')).text()).toContain(
      `flasktoria_stream_transport_info{transport="${transport}",service="stream-hub"} 1`,
    )
  })

  test('is uWebSockets.js where it loads', async () => {
    const options = { host: '127.0.0.1', port: 0, maxMessageBytes: 1, maxBufferedBytes: 1, idleTimeoutMs: 1 }
    const server = await listen(
      { choice: configSchema.parse({}).TRANSPORT, logger: silent, metrics: createMetrics('stream-hub') },
      {
        ...options,
        admit: () => ({ isAdmitted: false, status: 503, reason: 'test' }),
        answer: async () => undefined,
      },
    )
    expect(server.transport).toBe('uws')
    server.close()
  })

  test('is ws where the addon does not load, and the log says why', async () => {
    const hub = spawn(process.execPath, command, { env: environment })
    let output = ''
    hub.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
    const said = (what: string): Record<string, unknown> | undefined =>
      output
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as Record<string, unknown>)
        .find(({ msg }) => String(msg).includes(what))
    try {
      const { url, transport } = await eventually(() => said('stream-hub listens'))
      expect(transport).toBe('ws')
      expect(said('sockets are served by ws')).toMatchObject({
        level: 40,
        err: { message: expect.stringMatching(/^uWebSockets\.js has no addon that loads in Node v/) },
      })
      expect((await fetch(`${String(url).replace('ws:', 'http:')}/livez`)).status).toBe(200)
    } finally {
      hub.kill()
      await once(hub, 'exit')
    }
  })

  test('that was asked for and does not load is a sentence and the end', () => {
    const result = spawnSync(process.execPath, command, {
      encoding: 'utf8',
      timeout: 20_000,
      env: { ...environment, TRANSPORT: 'uws', LOG_LEVEL: 'silent' },
    })
    expect(result.stderr).toMatch(/^uWebSockets\.js has no addon that loads in Node v/)
    expect(result.status).toBe(1)
  })
})
