import { ConfigError } from '@flasktoria/service-kit/config'
import type { Admission, HttpAnswer, SocketServerOptions } from './transport.ts'

/** A browser sends every cookie of the origin; with 4 KiB its request would end without an answer. */
export const maxHeaderBytes = 16 * 1024

/** For a request, and for the last words of a connection that we closed. */
export const patienceMs = 10_000

const plain = (status: number, text: string): HttpAnswer => ({ status, contentType: 'text/plain', body: `${text}\n` })

/** An answer at any rate: the client is told nothing about a failure. */
export const answerTo = async (path: string, answer: SocketServerOptions['answer']): Promise<HttpAnswer> =>
  (await answer(path).catch(() => plain(500, 'This went wrong.'))) ?? plain(404, 'Here are WebSockets only.')

export const refusalOf = ({ status, reason }: Extract<Admission, { isAdmitted: false }>): HttpAnswer =>
  plain(status, reason)

export const headersOf = ({ status, contentType }: HttpAnswer): Record<string, string> => ({
  'Content-Type': contentType,
  ...(status === 503 && { 'Retry-After': '1' }),
})

export const protocolsOf = (header: string): string[] =>
  header
    .split(',')
    .map((name) => name.trim())
    .filter(Boolean)

export const portTaken = ({ host, port }: SocketServerOptions, cause?: Error) =>
  new ConfigError(`PORT: ${host}:${port} can't be listened on`, { cause })
