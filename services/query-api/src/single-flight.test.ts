import { expect, test } from 'vitest'
import { SingleFlight } from './single-flight.ts'

function airport(maxFlights = 10) {
  let nowMs = 0
  const flights: { signal: AbortSignal; resolve: (answer: string) => void; reject: (error: Error) => void }[] = []
  const singleFlight = new SingleFlight({ maxAgeMs: 1_000, maxFlights, now: () => nowMs })
  const ask = (key: string, signal = new AbortController().signal) =>
    singleFlight.ask(
      key,
      signal,
      (shared) => {
        const { promise, resolve, reject } = Promise.withResolvers<string>()
        shared.addEventListener('abort', () => reject(shared.reason as Error))
        flights.push({ signal: shared, resolve, reject })
        return promise
      },
      (answer) => answer.length < 10,
    )
  return { ask, flights, pass: (ms: number) => (nowMs += ms) }
}

test('equal questions at once are one, and who asks right after gets the same answer', async () => {
  const { ask, flights, pass } = airport()
  const [one, two, other] = [ask('a'), ask('a'), ask('b')]
  expect(flights).toHaveLength(2)
  flights[0]!.resolve('A')
  flights[1]!.resolve('B')
  expect(await Promise.all([one, two, other])).toEqual(['A', 'A', 'B'])
  pass(999)
  expect(await ask('a')).toBe('A')
  pass(1)
  void ask('a')
  expect(flights).toHaveLength(3)
})

test('a question that was asked too long ago is asked anew, and who waits for it still gets its answer', async () => {
  const { ask, flights, pass } = airport()
  const patient = ask('a')
  pass(1_000)
  const fresh = ask('a')
  flights[1]!.resolve('new')
  expect(await fresh).toBe('new')
  flights[0]!.resolve('old')
  expect(await patient).toBe('old')
  expect(await ask('a')).toBe('new')
})

test('who leaves takes nothing from the others; when all have left it is given up', async () => {
  const { ask, flights } = airport()
  const [one, two] = [new AbortController(), new AbortController()]
  const [first, second] = [ask('a', one.signal), ask('a', two.signal)]
  one.abort(new Error('gone'))
  await expect(first).rejects.toThrow('gone')
  expect(flights[0]!.signal.aborted).toBe(false)
  two.abort(new Error('gone too'))
  await expect(second).rejects.toThrow('gone too')
  expect(flights[0]!.signal.aborted).toBe(true)
  const again = ask('a')
  flights[1]!.resolve('A')
  expect(await again).toBe('A')
})

test('a failure is told to all who wait for it, and kept from nobody after', async () => {
  const { ask, flights } = airport()
  const both = Promise.allSettled([ask('a'), ask('a')])
  flights[0]!.reject(new Error('the engine died'))
  expect((await both).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  const again = ask('a')
  flights[1]!.resolve('A')
  expect(await again).toBe('A')
})

test('a large answer serves those who waited for it, and is not kept', async () => {
  const { ask, flights } = airport()
  const both = Promise.all([ask('a'), ask('a')])
  flights[0]!.resolve('x'.repeat(10))
  expect(new Set(await both).size).toBe(1)
  void ask('a')
  expect(flights).toHaveLength(2)
})

test('beyond the bound each asks for itself, and can be given up by itself', async () => {
  const { ask, flights } = airport(1)
  void ask('a')
  const leaving = new AbortController()
  const [alone] = [ask('b', leaving.signal), ask('b')]
  expect(flights).toHaveLength(3)
  leaving.abort(new Error('gone'))
  await expect(alone).rejects.toThrow('gone')
  expect(flights.map(({ signal }) => signal.aborted)).toEqual([false, true, false])
})
