import { createHash } from 'node:crypto'
import { PassThrough } from 'node:stream'
import { expect, test, vi } from 'vitest'
import { simulate, summary, type Simulation, type SimulatorTarget } from './simulate-run.ts'
import { createLinesTarget, createNullTarget } from './simulate-targets.ts'
import type { RecordBatch } from './simulator-batch.ts'

vi.setConfig({ testTimeout: 30_000 })

const simulation = (change: Partial<Simulation> = {}): Simulation => ({
  fleet: { vehicles: 30, seed: 1 },
  form: {},
  dirt: 0.01,
  pace: 'max',
  startTs: Date.UTC(2026, 0, 1),
  durationMs: 20_000,
  ...change,
})

/** All bytes that come, in order. */
function hashing(write: (batch: RecordBatch) => Promise<void> = () => Promise.resolve()) {
  const hash = createHash('sha256')
  const target: SimulatorTarget = {
    write: async (batch) => {
      await write(batch)
      hash.update(batch.bytes.subarray(0, batch.size))
    },
    close: () => Promise.resolve(),
  }
  return { target, digest: () => hash.digest('hex') }
}
const never = new AbortController().signal
const sum = (counts: Record<string, number>) => Object.values(counts).reduce((all, count) => all + count)

test('the bytes are the same however fast they come, and however slow who takes them is', async () => {
  const digests = []
  for (const [pace, takesMs] of [
    ['max', 0],
    [{ speed: 40 }, 0],
    [{ rate: 20_000 }, 0],
    ['max', 20],
  ] as const) {
    const { target, digest } = hashing(() => new Promise((done) => setTimeout(done, takesMs)))
    // oxlint-disable-next-line no-await-in-loop -- they share a processor
    await simulate(simulation({ pace }), target, never)
    digests.push(digest())
  }
  expect(new Set(digests).size).toBe(1)
})

test('a speed and a rate are kept', async () => {
  const bySpeed = await simulate(simulation({ pace: { speed: 20 }, durationMs: 10_000 }), createNullTarget(), never)
  expect(bySpeed.tookMs).toBeGreaterThan(450)
  const byRate = await simulate(simulation({ pace: { rate: 4_000 }, durationMs: 10_000 }), createNullTarget(), never)
  expect(byRate.tookMs).toBeGreaterThan((sum(byRate.records) / 4_000) * 900)
})

test('one batch is under way and one waits; no more is made while the target takes its time', async () => {
  let [underWay, most, calls] = [0, 0, 0]
  const stopping = new AbortController()
  const tally = await simulate(
    simulation({ fleet: { vehicles: 20_000, seed: 1 }, durationMs: Infinity }),
    {
      write: async () => {
        most = Math.max(most, ++underWay)
        await new Promise((done) => setTimeout(done, 30))
        underWay -= 1
        if (++calls === 4) stopping.abort()
      },
      close: () => Promise.resolve(),
    },
    stopping.signal,
  )
  expect(most).toBe(1)
  expect(calls).toBeLessThanOrEqual(5)
  expect(sum(tally.records)).toBeLessThan(100_000)
})

test('a target that fails ends it with its reason', async () => {
  const target = { write: () => Promise.reject(new Error('no topic')), close: () => Promise.resolve() }
  await expect(simulate(simulation(), target, never)).rejects.toThrow('no topic')
})

test('after the signal it ends, though the target never answers, and counts only what arrived', async () => {
  const stopping = new AbortController()
  const target: SimulatorTarget = { write: () => new Promise(() => {}), close: () => Promise.resolve() }
  setTimeout(() => stopping.abort(), 50)
  const tally = await simulate(simulation({ durationMs: Infinity }), target, stopping.signal)
  expect(sum(tally.records)).toBe(0)
  expect(summary(tally, 30)).toContain('0 records (none) of 30 vehicles')
})

test('lines wait for whoever reads them, and hold topic, key, time and value', async () => {
  const output = new PassThrough({ highWaterMark: 1_000 })
  const addresses = { topics: ['a', undefined, 'b'], keys: ['v0', 'v1'] }
  const lines = createLinesTarget(output, addresses, () => {})
  let isDone = false
  const run = simulate(simulation({ fleet: { vehicles: 2, seed: 1 }, dirt: 0 }), lines, never).finally(() => {
    isDone = true
  })
  await new Promise((done) => setTimeout(done, 200))
  expect(isDone).toBe(false)
  const text = run.then((tally) => {
    output.end()
    return tally
  })
  const chunks: Buffer[] = []
  for await (const chunk of output) chunks.push(chunk as Buffer)
  const all = Buffer.concat(chunks).toString().trimEnd().split('\n')
  expect(all).toHaveLength(sum((await text).records))
  expect(JSON.parse(all[0]!)).toEqual({
    topic: 'a',
    key: 'v0',
    timestamp: Date.UTC(2026, 0, 1),
    value: expect.stringMatching(/^[\w+/=]+$/),
  })
})
