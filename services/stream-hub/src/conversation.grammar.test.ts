import { closeCodes } from '@flasktoria/contracts/close-codes'
import {
  clientMessageSchema,
  serverMessageSchema,
  streamLimits,
  type ServerMessage,
} from '@flasktoria/contracts/stream'
import { updateKinds } from '@flasktoria/contracts/updates'
import * as fc from 'fast-check'
import { isDeepStrictEqual } from 'node:util'
import { describe, expect, test } from 'vitest'
import { Conversation, parse } from './conversation.ts'
import { createTestHub, TestConnection } from './test-hub.ts'

const limits = { maxSubscriptions: 3, maxVehicles: 8 }

function converse(protocol: 'plain' | 'v2' = 'v2') {
  const { hub, clock, turn } = createTestHub({
    session: { messagesPerSecond: 1_000, errorsBurst: 1_000, errorsPerMinute: 1 },
  })
  hub.onSnapshot({ epoch: 'epoch', head: 0, state: [], recent: [], reason: 'start' })
  const errors: string[] = []
  const conversation = new Conversation({
    hub,
    limits,
    onError: (code) => errors.push(code),
    now: () => clock.nowMs,
  })
  const mutes = { change: () => new Promise<boolean>(() => {}), leave() {} }
  const connection = new TestConnection()
  const session = hub.open(connection, protocol, false)
  turn()
  /** What the hub says to one message, before anything else happens. */
  const say = (data: Uint8Array, isBinary = false): ServerMessage[] => {
    const before = connection.messages.length
    conversation.hear(session, data, isBinary, mutes)
    return connection.messages.slice(before)
  }
  return { say, session, connection, errors, turn, sayText: (text: string) => say(Buffer.from(text)) }
}

/* ── what clients may say ──────────────────────────────────────────────────────────────────────────────────────── */

const names = fc.oneof(
  fc.constantFrom('a', 'b', 'c', '__proto__', 'constructor', 'toString', ' ', '№ 7 🚚', '"', '\\', '\u2028'),
  fc.string({ minLength: 1, maxLength: 64, unit: 'grapheme' }).map((text) => text.slice(0, 64).toWellFormed()),
)
const longitudes = fc.double({ min: -540, max: 540, noNaN: true })
const latitudes = fc.double({ min: -90, max: 90, noNaN: true })
const boxes = fc
  .tuple(longitudes, latitudes, longitudes, latitudes)
  .map(([west, one, east, other]) => [west, Math.min(one, other), east, Math.max(one, other)])
const wishes = fc.record(
  {
    kinds: fc.array(fc.constantFrom(...updateKinds), { minLength: 1, maxLength: 8 }),
    vehicles: fc.array(names, { maxLength: 6 }),
    sensors: fc.array(names, { maxLength: 6 }),
    bbox: boxes,
    positionsOnly: fc.boolean(),
    maxRateHz: fc.double({ min: 0.1, max: 100, noNaN: true }),
    every: fc.boolean(),
  },
  { requiredKeys: [] },
)
const cursors = fc.oneof(fc.string({ maxLength: 200 }), fc.constantFrom('epoch.0', 'epoch.zz', 'other.1', 'epoch.1.2'))
const subscribes = fc.tuple(names, wishes, fc.option(cursors, { nil: undefined })).map(([id, wish, cursor]) => ({
  type: 'subscribe',
  id,
  ...wish,
  ...(cursor !== undefined && { cursor }),
}))
const messages = fc.oneof(
  subscribes,
  fc.tuple(names, wishes).map(([id, wish]) => ({ type: 'update', id, ...wish })),
  fc.record({ type: fc.constant('unsubscribe'), id: names }),
  fc.record(
    {
      type: fc.constantFrom('mute', 'unmute'),
      kind: fc.constantFrom('position', 'sensordata', 'sensorstatus'),
      vehicle: names,
      sensor: names,
    },
    { requiredKeys: ['type', 'kind', 'vehicle'] },
  ),
  fc.constant({ type: 'stats' }),
  fc.record({ type: fc.constant('ping'), nonce: fc.string({ maxLength: 64 }) }, { requiredKeys: ['type'] }),
) as fc.Arbitrary<Record<string, unknown>>

/** A message with something wrong, or merely odd, somewhere. */
const mutants = fc
  .tuple(
    messages,
    fc.oneof(
      fc.constantFrom('type', 'id', 'kinds', 'vehicles', 'bbox', 'maxRateHz', 'cursor', 'nonce', 'vehicle'),
      fc.string(),
    ),
    fc.oneof(
      fc.jsonValue(),
      fc.constantFrom(-1, 0, 1e308, '', 'x'.repeat(65), ['\u0000'], [[]], [1, 2, 3], [0, 1, 0, -1], {}, [NaN]),
    ),
    fc.constantFrom('set', 'delete', 'wrap', 'nest'),
  )
  .map(([message, key, value, how]) => {
    const copy: Record<string, unknown> = { ...message }
    if (how === 'delete') delete copy[key]
    else Object.defineProperty(copy, key, { value, enumerable: true, configurable: true, writable: true })
    return JSON.stringify(how === 'wrap' ? [copy] : how === 'nest' ? { message: copy, ...message, [key]: copy } : copy)
  })

/** Text with a bit of rubbish in it. */
const scratched = fc
  .tuple(messages, fc.nat(), fc.nat(20), fc.string({ unit: 'binary', maxLength: 5 }))
  .map(([message, at, length, rubbish]) => {
    const text = JSON.stringify(message)
    const start = at % (text.length + 1)
    return text.slice(0, start) + rubbish + text.slice(start + length)
  })

const deep = fc.nat(20_000).map((depth) => '['.repeat(depth) + ']'.repeat(depth))
const long = fc.nat(4 * streamLimits.messageBytes).map((length) => `"${'x'.repeat(length)}"`)
const anyText = fc
  .oneof(
    messages.map((message) => JSON.stringify(message)),
    mutants,
    scratched,
    fc.json(),
    fc.string(),
    deep,
    long,
  )
  .map((text) => text.toWellFormed())

const scripts = fc.array(fc.oneof({ weight: 4, arbitrary: subscribes }, { weight: 6, arbitrary: messages }, mutants), {
  maxLength: 40,
})

/* ── what holds ────────────────────────────────────────────────────────────────────────────────────────────────── */

/** One answer to one message, of the kind that belongs to it, counts as none here. */
function wrongAnswer(text: string, answers: readonly ServerMessage[]): unknown {
  const [answer, ...others] = answers
  const isOnly = (expected: object) => others.length === 0 && isDeepStrictEqual(answer, { ...answer, ...expected })
  const parsed = parse(text)
  if (!parsed.isValid) return isOnly({ type: 'error', code: 'bad_message' }) ? undefined : answers
  const { message } = parsed
  if (message.type === 'ping') return isDeepStrictEqual(answers, [{ ...message, type: 'pong' }]) ? undefined : answers
  if (message.type === 'stats') return isOnly({ type: 'stats' }) ? undefined : answers
  if (message.type === 'mute' || message.type === 'unmute') return answers.length === 0 ? undefined : answers
  if (isOnly({ type: 'error', id: message.id })) return undefined
  // How fresh the data is, with the first subscription.
  const isAcknowledged = isDeepStrictEqual(answer, { type: 'ack', id: message.id })
  return isAcknowledged && others.every(({ type }) => type === 'feed') ? undefined : answers
}

const brokenContract = (said: readonly ServerMessage[]) =>
  said.find((message) => !serverMessageSchema.safeParse(message).success)

describe('whatever a v2 client says', { timeout: 30_000 }, () => {
  test('is answered, or ends the session, and what is answered keeps the contract', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const { sayText, turn, connection, errors } = converse()
        const answers = sayText(text)
        const isTooLong = Buffer.byteLength(text) > streamLimits.messageBytes
        expect(connection.closedWith).toBe(isTooLong ? closeCodes.protocolError : undefined)
        expect(isTooLong ? answers[0] : wrongAnswer(text, answers)).toBeUndefined()
        expect(errors).toHaveLength(answers.filter(({ type }) => type === 'error').length)
        turn()
        expect(brokenContract(connection.messages)).toBeUndefined()
      }),
      { numRuns: 500 },
    )
  })

  test('in bytes of any kind is answered', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (bytes, isBinary) => {
        const [answer, ...others] = converse().say(bytes, isBinary)
        expect(answer).toMatchObject({ type: 'error', code: 'bad_message' })
        expect(others).toEqual([])
      }),
    )
  })

  test('one after the other never goes beyond the limits', () => {
    fc.assert(
      fc.property(scripts, (script) => {
        const { sayText, session, connection, turn } = converse()
        const open = new Set<string>()
        for (const step of script) {
          const text = typeof step === 'string' ? step : JSON.stringify(step)
          const answers = sayText(text)
          expect(wrongAnswer(text, answers)).toBeUndefined()
          const parsed = parse(text)
          if (parsed.isValid && answers[0]?.type === 'ack') {
            if (parsed.message.type === 'subscribe') open.add(parsed.message.id)
            if (parsed.message.type === 'unsubscribe') open.delete(parsed.message.id)
          }
          turn()
          expect([...session.subscriptions.keys()].toSorted()).toEqual([...open].toSorted())
          expect(open.size).toBeLessThanOrEqual(limits.maxSubscriptions)
          const named = [...session.subscriptions.values()].map(({ filter }) => filter.vehicles?.size ?? 0)
          expect(named.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(limits.maxVehicles)
        }
        expect(brokenContract(connection.messages)).toBeUndefined()
      }),
      { numRuns: 150 },
    )
  })

  test('is taken as exactly what the schema makes of it, and as nothing else', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const parsed = parse(text)
        const value = readJson(text)
        const result = value && clientMessageSchema.safeParse(value.json)
        const isSentence = !parsed.isValid && parsed.reason.length > 0 && parsed.reason.length <= 200
        expect(parsed.isValid ? parsed.message : isSentence).toEqual(result?.success ? result.data : true)
        // Saying it again in the words that were understood changes nothing.
        expect(parsed.isValid ? parse(JSON.stringify(parsed.message)) : parsed).toEqual(parsed)
      }),
      { numRuns: 500 },
    )
  })

  test('rightly is understood', () => {
    fc.assert(
      fc.property(messages, (message) => {
        const isTwoChoices = Boolean(message['vehicles'] && message['bbox'])
        expect(parse(JSON.stringify(message)).isValid).toBe(!isTwoChoices)
      }),
    )
  })
})

test('whatever a plain client says, it gets no word', { timeout: 30_000 }, () => {
  fc.assert(
    fc.property(anyText, (text) => {
      const { sayText, connection } = converse('plain')
      expect(sayText(text)).toEqual([])
      expect(connection.closedWith).toBe(Buffer.byteLength(text) > streamLimits.messageBytes ? 1009 : undefined)
    }),
  )
})

function readJson(text: string): { json: unknown } | undefined {
  try {
    return { json: JSON.parse(text) as unknown }
  } catch {
    return undefined
  }
}
