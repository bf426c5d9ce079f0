import { parseBatch } from '@flasktoria/live-log/batch'
import type { Entry } from '@flasktoria/live-log/log'
import { connectRedis, disconnect, whenReady } from '@flasktoria/live-log/redis'
import { defaultPrefix, logKeys } from '@flasktoria/live-log/redis-keys'
import { setTimeout as sleep } from 'node:timers/promises'
import { readingKey } from '../e2e/readings.ts'

/** An anomaly as it stood in the log. `life` counts how often Redis had lost its memory before. */
export type Written = { serial: number; epoch: string; life: number }

const pageLength = 200
const pauseMs = 200

export const serialOf = (json: string): number => Number(/"serial (\d+)"/.exec(json)?.[1])

/**
 * All that ever stood in the log, whatever its readers were told: copied batch for batch out of Redis while it runs, and out
 * of what it left behind when it died.
 */
export class Ledger {
  readonly anomalies: Written[] = []
  readonly readings = new Set<string>()
  /** In the order in which they began. */
  readonly epochs: string[] = []
  /** Epochs that went on in another Redis process. */
  readonly outlived = new Set<string>()
  #ended = new Set<string>()
  #life = 0
  #position = '-'
  #copying: Promise<void> = Promise.resolve()
  readonly #stopping = new AbortController()
  #running: Promise<void> | undefined

  get life(): number {
    return this.#life
  }

  start(url: string): void {
    this.#running = this.#run(url)
  }
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#running
  }

  /** Copies what came since the last time. */
  copy(url: string): Promise<void> {
    this.#copying = this.#copying.catch(() => {}).then(() => this.#copyFrom(url))
    return this.#copying
  }

  /** Redis died; what it would remember is copied. Whoever takes over may not go on with its epoch, or, if `isLost`, is empty. */
  async close(
    dead: { examine: (read: (url: string) => Promise<void>) => Promise<void> },
    isLost: boolean,
  ): Promise<void> {
    await dead.examine((url) => this.copy(url))
    this.#ended = new Set(this.epochs)
    if (!isLost) return
    this.#life++
    this.#position = '-'
  }

  async #run(url: string): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      // While Redis is away there is nothing to copy.
      await this.copy(url).catch(() => {})
      await sleep(pauseMs, undefined, { signal }).catch(() => {})
    }
  }

  async #copyFrom(url: string): Promise<void> {
    const redis = connectRedis(url, 'commands')
    try {
      await whenReady(redis)
      for (let isMore = true; isMore;) {
        const items = await redis.xrange(logKeys(defaultPrefix).stream, this.#position, '+', 'COUNT', pageLength)
        for (const [id, [, text]] of items) {
          this.#note(text!)
          this.#position = `(${id}`
        }
        isMore = items.length === pageLength
      }
    } finally {
      disconnect(redis)
    }
  }

  #note(text: string): void {
    const { epoch, entries } = parseBatch(text)
    if (this.epochs.at(-1) !== epoch) this.epochs.push(epoch)
    if (this.#ended.has(epoch)) this.outlived.add(epoch)
    for (const entry of entries) {
      if (entry.kind === 'anomaly') this.anomalies.push({ serial: serialOf(entry.json), epoch, life: this.#life })
      else if (entry.kind === 'sensordata') this.#noteReadings(entry)
    }
  }

  #noteReadings({ vehicle, sensor, json }: Entry): void {
    const { values } = JSON.parse(json) as { values: { timestamp: number }[] }
    for (const { timestamp } of values) this.readings.add(`${readingKey({ vehicle, sensor })}\t${timestamp}`)
  }
}
