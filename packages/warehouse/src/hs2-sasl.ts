/** SASL as Thrift speaks it: a status byte, a length of four bytes, a payload. */
const status = { start: 1, ok: 2, bad: 3, error: 4, complete: 5 } as const
const headerBytes = 5
const maxPayloadBytes = 64 * 1024

const frame = (code: number, payload: Buffer): Buffer => {
  const header = Buffer.alloc(headerBytes)
  header[0] = code
  header.writeUInt32BE(payload.length, 1)
  return Buffer.concat([header, payload])
}

/** What a client says to log in with the mechanism PLAIN. @throws RangeError on a NUL character */
export function plainLogin(username: string, password: string): Buffer {
  if (username.includes('\0') || password.includes('\0'))
    throw new RangeError('A name or password for PLAIN cannot hold a NUL character')
  return Buffer.concat([
    frame(status.start, Buffer.from('PLAIN')),
    frame(status.ok, Buffer.from(`\0${username}\0${password}`)),
  ])
}

export type SaslAnswer = { outcome: 'incomplete' | 'complete' } | { outcome: 'refused'; reason: string }

/** What the server has said so far, however it was cut into chunks. */
export function readSaslAnswer(bytes: Buffer): SaslAnswer {
  let at = 0
  while (bytes.length - at >= headerBytes) {
    const code = bytes[at]!
    const payloadBytes = bytes.readUInt32BE(at + 1)
    if (code < status.ok || code > status.complete || payloadBytes > maxPayloadBytes)
      return { outcome: 'refused', reason: 'the server does not speak SASL' }
    const end = at + headerBytes + payloadBytes
    if (end > bytes.length) break
    if (code === status.complete) return { outcome: 'complete' }
    if (code !== status.ok)
      return { outcome: 'refused', reason: bytes.toString('utf8', at + headerBytes, end) || 'no reason given' }
    at = end
  }
  return { outcome: 'incomplete' }
}
