import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { asyncapiDocument } from './asyncapi.ts'
import { subprotocol } from './stream.ts'
import { wireHash, wireVersion } from './wire-version.ts'

const prose = new Set(['description', 'summary', 'title'])

test('the wire changes only together with its version', () => {
  const shapes = JSON.stringify(asyncapiDocument('any'), (key, value: unknown) =>
    prose.has(key) && typeof value === 'string' ? undefined : value,
  )
  const hash = createHash('sha256').update(shapes).digest('hex').slice(0, 16)
  expect(
    hash,
    `The messages of the live socket changed. Can every deployed client still read them? Then raise wireVersion in ` +
      `wire-version.ts and set wireHash to '${hash}'; else give the new messages a new sub-protocol.`,
  ).toBe(wireHash)
})

test('the sub-protocol carries the major version', () => {
  expect(subprotocol).toBe(`flasktoria.v${Math.trunc(wireVersion)}`)
})
