import { setTimeout as sleep } from 'node:timers/promises'
import type { Producers } from './producers.ts'
import { readingKey, type Reading } from './readings.ts'

const chunkMs = 50

/** The recorded fleets side by side, whenever they were recorded. */
function interleaved(readings: readonly Reading[]): Reading[] {
  const fleets = [...Map.groupBy(readings, ({ vehicle }) => vehicle.split('-')[0]).values()]
  const longest = Math.max(...fleets.map(({ length }) => length))
  return Array.from({ length: longest }, (_, index) => fleets.flatMap((fleet) => fleet[index] ?? [])).flat()
}

/** Lets a recording happen now, again and again: each vehicle in its order, so many readings a second. */
export function createReplay(recording: readonly Reading[], producers: Producers, perSecond: number) {
  const readings = interleaved(recording)
  /** The newest reading of each vehicle and sensor, as it was sent. */
  const last = new Map<string, Reading>()
  let position = 0
  let running: Promise<void> | undefined
  let stopping = new AbortController()

  const nextChunk = (): Reading[] =>
    Array.from({ length: (perSecond * chunkMs) / 1_000 }, () => ({
      ...readings[position++ % readings.length]!,
      ts: Date.now(),
    }))

  async function run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const next = sleep(chunkMs)
      const chunk = nextChunk()
      for (const reading of chunk) last.set(readingKey(reading), reading)
      await Promise.all([producers.precise(chunk), next])
    }
  }

  return {
    last,
    start: () => {
      if (running) return
      stopping = new AbortController()
      running = run(stopping.signal)
    },
    /** What was begun is sent. */
    stop: async () => {
      stopping.abort()
      await running
      running = undefined
    },
  }
}
export type Replay = ReturnType<typeof createReplay>
