import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import { connections, HiveClient, thrift as generated } from 'hive-driver'
import { TBinaryProtocol, TBufferedTransport, TFramedTransport } from 'thrift'
import { readFetchedRows } from './hs2-columns.ts'
import { HttpMessages } from './hs2-http.ts'
import { MessageScanner } from './hs2-message-scanner.ts'
import { MessageReceiver } from './hs2-receiver.ts'
import { plainLogin, readSaslAnswer } from './hs2-sasl.ts'
import type { Hs2Server } from './hs2-server.ts'

// hive-driver as published loses answers, hangs on a lost socket and reads a large answer in quadratic time. Everything it
// needs to be used safely it lets one replace from outside: the login, the transport, and the reader of one answer.

export type ClientOptions = Hs2Server & {
  /** A larger message ends the connection. */
  maxMessageBytes: number
  /** Until TCP, TLS and the login are done. */
  connectWithinMs: number
}

/** What hive-driver makes its calls with. */
export type Client = { thriftClient: ReturnType<HiveClient['getClient']>; hangUp: () => void }

const { TCLIService, TCLIService_types: types } = generated
type Provider = NonNullable<Parameters<HiveClient['connect']>[1]>
type Authentication = NonNullable<Parameters<HiveClient['connect']>[2]>
type Transport = Parameters<Authentication['authenticate']>[0]

/**
 * Connects and logs in; over HTTP only the first call does that. `onLost` is told why the client can't be used any more, and
 * leaves the pending calls to the caller. @throws what the socket, TLS or the server says
 */
export async function connectClient(options: ClientOptions, onLost: (error: unknown) => void): Promise<Client> {
  const link = options.http ? overHttp(options) : overTcp(options, onLost)
  const { host, port } = options.endpoint
  const secure = options.tls && { ssl: true, rejectUnauthorized: true, ...definedOnly(options.tls) }
  const client = new HiveClient(TCLIService, types)
  // Once the client has a socket, each of these would end the process if nobody listened.
  client.on('error', onLost)
  client.on('close', () => onLost(new Error('the server hung up')))
  client.on('timeout', () => onLost(new Error('the socket timed out')))
  try {
    await client.connect({ host, port, options: { ...secure } }, link.provider, link)
  } catch (error) {
    link.hangUp()
    throw error
  }
  readOwnRows(client.getClient() as unknown as ThriftClient)
  return { thriftClient: client.getClient(), hangUp: () => link.hangUp() }
}

type Link = Authentication & { provider: Provider; hangUp: () => void }

function overTcp(options: ClientOptions, onMalformed: (error: unknown) => void): Link {
  const isFramed = options.mechanism === 'PLAIN'
  const { maxMessageBytes } = options
  let socket: Socket | undefined
  return {
    provider: new connections.TcpConnection(),
    hangUp: () => socket?.destroy(),
    async authenticate(transport) {
      transport.connect()
      socket = transport.getTransport() as Socket
      await logIn(options, transport, socket)
      transport.setOptions('transport', wholeMessages({ isFramed, maxMessageBytes, onMalformed }))
      return transport
    },
  }
}

/** Stands in for hive-driver's login, which takes a socket for connected at once and one chunk for one frame. */
async function logIn(options: ClientOptions, transport: Transport, socket: Socket): Promise<void> {
  const { mechanism, username, password, connectWithinMs } = options
  const ready = Promise.withResolvers<void>()
  const onConnect = () => {
    if (mechanism === 'NOSASL') ready.resolve()
    else transport.write(plainLogin(username || 'anonymous', password || 'anonymous'))
  }
  let heard: Buffer = Buffer.alloc(0)
  const onData = (chunk: Buffer) => {
    if (mechanism === 'NOSASL') return
    heard = Buffer.concat([heard, chunk])
    const answer = readSaslAnswer(heard)
    if (answer.outcome === 'complete') ready.resolve()
    if (answer.outcome === 'refused') ready.reject(new Error(`login refused: ${answer.reason}`))
  }
  // This one stays: an 'error' event without a listener ends the process.
  socket.on('error', ready.reject)
  socket.once('close', () => ready.reject(new Error('the server hung up')))
  socket.setKeepAlive(true, 30_000)
  transport.addListener('connect', onConnect)
  transport.addListener('data', onData)
  const deadline = setTimeout(
    () => ready.reject(new Error(`no connection and login within ${connectWithinMs} ms`)),
    connectWithinMs,
  )
  try {
    await ready.promise
  } finally {
    clearTimeout(deadline)
    transport.removeListener('connect', onConnect)
    transport.removeListener('data', onData)
  }
}

function overHttp(options: ClientOptions): Link {
  const messages = new HttpMessages(options, options.maxMessageBytes)
  const connection = new HttpConnection(messages, options.maxMessageBytes)
  return {
    provider: { connect: async () => ({ getConnection: () => connection, isConnected: () => true }) },
    hangUp: () => messages.hangUp(),
    authenticate: async (transport) => transport,
  }
}

/** Stands in for thrift's own, which tells of a refused request by an event only, after which the call hangs. */
class HttpConnection extends EventEmitter {
  readonly transport = TBufferedTransport
  readonly protocol = TBinaryProtocol
  /** Set by thrift. */
  client: ThriftClient | undefined
  readonly #messages: HttpMessages
  readonly #maxBytes: number

  constructor(messages: HttpMessages, maxBytes: number) {
    super()
    this.#messages = messages
    this.#maxBytes = maxBytes
  }

  /** Called by thrift with a whole message. */
  write(message: Buffer): void {
    this.#messages.post(message).then(
      (answer) => this.#deliver(answer),
      (error: unknown) => this.emit('error', error),
    )
  }

  #deliver(answer: Buffer): void {
    try {
      if (new MessageScanner(this.#maxBytes).scan(answer, answer.length) !== answer.length)
        throw new Error('the server answered what is not one HiveServer2 message')
      const protocol = new TBinaryProtocol(new WholeMessage(answer))
      const { fname, mtype, rseqid } = protocol.readMessageBegin()
      const receive = this.client?.[`recv_${fname}`]
      if (!receive) throw new Error('the server answered another call')
      receive.call(this.client, protocol as never, mtype, rseqid)
    } catch (error) {
      this.emit('error', error)
    }
  }
}

const replyMessage = 2
type ReceiveAnswer = (protocol: { trans: WholeMessage }, messageType: number, seqId: number) => void
type ThriftClient = {
  _reqs: Record<number, ((error: unknown, answer?: unknown) => void) | undefined>
  recv_FetchResults: ReceiveAnswer
  [receive: `recv_${string}`]: ReceiveAnswer | undefined
}

/**
 * hive-driver makes one object of each 64-bit integer and an Infinity of a large one. The connection hands each answer to
 * `recv_<method>` of its client, so that one method is replaced, on this client only.
 */
function readOwnRows(client: ThriftClient): void {
  const readException = client.recv_FetchResults.bind(client)
  client.recv_FetchResults = (protocol, messageType, seqId) => {
    if (messageType !== replyMessage) return readException(protocol, messageType, seqId)
    const answered = client._reqs[seqId]
    delete client._reqs[seqId]
    const rows = readFetchedRows(...protocol.trans.unread())
    answered?.(rows ? null : new Error('an empty answer to FetchResults'), rows)
  }
}

/** One message, all of which is here: what thrift's connection reads an answer from. */
class WholeMessage extends TBufferedTransport {
  constructor(message: Buffer) {
    super()
    this.inBuf = message
    this.writeCursor = message.length
  }

  unread(): [bytes: Buffer, position: number] {
    return [this.inBuf, this.readCursor]
  }

  /** The stock one copies the rest of its buffer for the next message; here there is none. */
  commitPosition(): void {}
}

/** A transport class for thrift's connection that writes as the stock ones do, and reads whole messages. */
function wholeMessages(options: {
  isFramed: boolean
  maxMessageBytes: number
  onMalformed: (error: unknown) => void
}): typeof TBufferedTransport | typeof TFramedTransport {
  const receiver = (deliver: (message: WholeMessage) => void) => {
    const messages = new MessageReceiver({
      isFramed: options.isFramed,
      maxBytes: options.maxMessageBytes,
      deliver: (message) => deliver(new WholeMessage(message)),
    })
    return (chunk: Buffer) => {
      try {
        messages.push(chunk)
      } catch (error) {
        options.onMalformed(error)
      }
    }
  }
  return options.isFramed
    ? class extends TFramedTransport {
        static receiver = receiver
      }
    : class extends TBufferedTransport {
        static receiver = receiver
      }
}

const definedOnly = (options: object) =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
