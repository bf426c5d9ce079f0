import { describe, expect, test } from 'vitest'
import { describeSocketServer } from './socket.conformance.ts'
import { loadUws } from './socket-uws.ts'
import { serve } from './test-socket-server.ts'
import { eventually } from './test-socket.ts'

const listen = await loadUws()
describeSocketServer(() => listen)

describe('uWebSockets.js', () => {
  test.each([0, 1, 9_000, 960_000, 1e9])('takes an idle timeout of %d ms', async (idleTimeoutMs) => {
    const { open } = await serve(listen, undefined, { idleTimeoutMs })
    expect((await open()).closeCode).toBeUndefined()
  })

  test('sees no backpressure for long, because the kernel hides it: what is late is the pong', async () => {
    let pongs = 0
    const { connections, open } = await serve(listen, () => ({ onPong: () => pongs++ }))
    const client = await open()
    const [connection] = connections
    connection!.ping()
    await eventually(() => pongs === 1)
    client.stall()
    for (let kilobytes = 0; kilobytes < 512; kilobytes += 64)
      expect(connection!.send(JSON.stringify('x'.repeat(64 * 1024)))).toBe('sent')
    connection!.ping()
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    expect([connection!.bufferedBytes, pongs]).toEqual([0, 1])
    client.goOn()
    await eventually(() => pongs === 2)
    expect(client.texts).toHaveLength(8)
  })
})
