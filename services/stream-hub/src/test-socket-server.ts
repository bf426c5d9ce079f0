import { onTestFinished } from 'vitest'
import { RawSocket } from './test-socket-raw.ts'
import { TestSocket } from './test-socket.ts'
import type { Connection, Handshake, Listen, Receiver, SocketServerOptions } from './transport.ts'

const silent: Receiver = { onMessage: () => {}, onDrain: () => {}, onPong: () => {}, onClose: () => {} }

/** A socket server that admits everybody; it and its clients end with the test, which says itself when that is if others run beside it. */
export async function serve(
  listen: Listen,
  receive: (connection: Connection) => Partial<Receiver> = () => ({}),
  options: Partial<SocketServerOptions> = {},
  onFinished: typeof onTestFinished = onTestFinished,
) {
  const cleanup = new DisposableStack()
  onFinished(() => cleanup.dispose())
  const handshakes: Handshake[] = []
  const connections: Connection[] = []
  /** The close codes that the receivers were told. */
  const closes: number[] = []
  const server = await listen({
    host: '127.0.0.1',
    port: 0,
    maxMessageBytes: 1_000,
    maxBufferedBytes: 1 << 20,
    idleTimeoutMs: 60_000,
    admit(handshake) {
      handshakes.push(handshake)
      return {
        isAdmitted: true,
        open(connection) {
          connections.push(connection)
          const receiver = { ...silent, ...receive(connection) }
          const onClose = (code: number) => {
            closes.push(code)
            receiver.onClose(code)
          }
          return { ...receiver, onClose }
        },
      }
    },
    answer: async () => undefined,
    ...options,
  })
  cleanup.defer(() => server.close())
  const adopt = <Client extends { end(): void }>(client: Client) => cleanup.adopt(client, (it) => it.end())
  const url = `ws://127.0.0.1:${server.port}`
  return {
    server,
    handshakes,
    connections,
    closes,
    url,
    open: async (path = '/', headers = {}) => adopt(await TestSocket.open(`${url}${path}`, { headers })),
    /** A TCP connection that has said nothing yet. */
    connect: () => adopt(new RawSocket(server.port)),
    raw: async (headers = {}) => adopt(await RawSocket.open(server.port, headers)),
  }
}
