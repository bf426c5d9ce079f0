import { identifierPattern } from '@flasktoria/contracts/identifiers'
import * as fc from 'fast-check'
import { isDeepStrictEqual } from 'node:util'
import { describe, expect, test } from 'vitest'
import { createInterpreter } from './interpret.ts'
import { forms } from './test-forms.ts'
import type { Fact } from './validate.ts'

const now = Date.UTC(2026, 5, 1)
const interpret = createInterpreter({ earliestTs: Date.UTC(2000, 0, 1), maxAheadMs: 300_000 })
const names = Object.keys(forms)
const inputs = 100_000
/** What is no JSON costs an exception each. */
const timeout = 60_000
const perRun = 500

const isSense = (fact: Fact): boolean => {
  const isValue =
    fact.kind === 'fix'
      ? Math.abs(fact.lat) <= 90 && Math.abs(fact.long) <= 180
      : fact.kind === 'anomaly'
        ? Number.isSafeInteger(fact.anomalyId)
        : fact.value === null || Math.abs(fact.value) <= 1e9
  const isTime = fact.ts >= Date.UTC(2000, 0, 1) && fact.ts <= now + 300_000
  return isValue && isTime && identifierPattern.test(fact.vehicle)
}

type Below = (bound: number) => number

/** A repeatable stream of whole numbers below `bound`. */
function numbers(seed: number): Below {
  let state = seed | 1
  return (bound) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % bound
  }
}

const draw = numbers(1)
const drawn = () => draw(256)
/** Noise to cut from: faster than drawing each byte. */
const noise = Buffer.from(Array.from({ length: 65_536 }, drawn))

function randomBytes(below: Below): Buffer {
  const from = below(noise.length - 120)
  return noise.subarray(from, from + below(120))
}

/** One to four bits the other way, and sometimes cut or with something behind. */
function damaged(value: Buffer, below: Below): Buffer {
  const bytes = Buffer.from(value)
  for (let count = 1 + below(4); count > 0; count--) {
    const bit = below(bytes.length * 8)
    bytes[bit >> 3]! ^= 1 << (bit & 7)
  }
  const fate = below(8)
  if (fate === 0) return bytes.subarray(0, below(bytes.length))
  return fate === 1 ? Buffer.concat([bytes, randomBytes(below)]) : bytes
}

/** 100,000 inputs, from seeds that fast-check draws. */
function manyInputs(make: (below: Below) => Buffer, check: (bytes: Buffer) => void): void {
  const run = (seed: number) => {
    const below = numbers(seed)
    for (let count = 0; count < perRun; count++) check(make(below))
  }
  fc.assert(fc.property(fc.integer(), run), { numRuns: inputs / perRun })
}

describe.each(names)('%s', (name) => {
  const { profile, value, isSelfDelimiting } = forms[name]!
  const read = (bytes: Buffer | null) => interpret({ profile, value: bytes }, now)

  test('what its producer wrote is read', () => {
    expect(read(value)).toMatchObject({ ok: true, fact: { vehicle: 'bus-7', ts: 1_700_000_000_000 } })
  })

  test('random bytes never throw, and what is taken makes sense', { timeout }, () => {
    const nonsense: string[] = []
    manyInputs(randomBytes, (bytes) => {
      const said = read(bytes)
      if (said.ok && !isSense(said.fact)) nonsense.push(bytes.toString('hex'))
    })
    expect(nonsense).toEqual([])
  })

  test('damaged records never throw, and what is taken makes sense', { timeout }, () => {
    let taken = 0
    const nonsense: string[] = []
    manyInputs(
      (below) => damaged(value, below),
      (bytes) => {
        const said = read(bytes)
        if (!said.ok) return
        taken += 1
        if (!isSense(said.fact)) nonsense.push(bytes.toString('hex'))
      },
    )
    expect(nonsense).toEqual([])
    // Neither all nor none: otherwise nothing was put to the test.
    expect(taken).toBeGreaterThan(0)
    expect(taken).toBeLessThan(inputs)
  })

  test('what stands before and behind a value makes no difference', () => {
    const around = [Buffer.from([0xc3, 0x01, 0x00]), Buffer.from([0x01, 0x00, 0x7b, 0x30])] as const
    const differing: string[] = []
    for (let count = 0; count < 20_000; count++) {
      const bytes = draw(2) === 0 ? damaged(value, draw) : randomBytes(draw)
      const from = around[0].length
      const surrounded = profile.read(Buffer.concat([around[0], bytes, around[1]]), from, from + bytes.length)
      if (!isDeepStrictEqual(surrounded, profile.read(bytes))) differing.push(bytes.toString('hex'))
    }
    expect(differing).toEqual([])
  })

  test('a record that breaks off is refused, wherever it does', () => {
    const accepted = Array.from(value.keys(), (length) => value.subarray(0, length)).filter((part) => read(part).ok)
    // Protocol Buffers end wherever a field does: half a record may be whole without what we do not read.
    expect(accepted.length).toBeLessThanOrEqual(name === 'protobuf' ? 12 : 0)
  })

  test('a record with something behind it is refused, but for forms that append fields', () => {
    const longer = Buffer.concat([value, Buffer.from([0x0a])])
    expect(read(longer).ok).toBe(isSelfDelimiting === true && name !== 'protobuf' ? true : name.startsWith('json'))
  })

  test('nothing, a tombstone and too much are refused', () => {
    expect(read(null)).toEqual({ ok: false, reason: 'tombstone' })
    expect(read(Buffer.alloc(0))).toEqual({ ok: false, reason: 'malformed' })
    expect(read(Buffer.alloc(20_000, value))).toEqual({ ok: false, reason: 'oversized' })
  })

  test.each(names.filter((other) => forms[other]!.profile !== profile))(
    'a record of the form %s is refused, unless it is the same form',
    (other) => {
      const isSame = name.startsWith('json') && other.startsWith('json')
      expect(read(forms[other]!.value).ok).toBe(isSame)
    },
  )
})
