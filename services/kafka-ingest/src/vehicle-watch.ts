import type { VehiclestatusUpdate } from '@flasktoria/contracts/updates'
import type { Lease } from '@flasktoria/live-log/lease'
import {
  LogUnavailable,
  type Draft,
  type LogFollower,
  type LogListener,
  type LogReader,
  type LogWriter,
} from '@flasktoria/live-log/log'
import type { Logger } from '@flasktoria/service-kit/logger'
import type { Metrics } from '@flasktoria/service-kit/metrics'
import { Presence, type PresenceLimits, type Vehicle } from './presence.ts'

const turnMs = 1_000
/** What it takes to learn how often vehicles report: a minute of a thousand updates a second. */
const maxRecent = 60_000

type Parts = {
  lease: Lease
  log: LogReader & LogWriter
  limits: PresenceLimits
  metrics: Metrics
  logger: Logger
}

type Watching = { presence: Presence; isConnected: boolean; follower?: LogFollower }

/**
 * Follows the log and tells it which vehicles are there. All instances may run it: whoever has the lease works, the others wait.
 *
 *     waiting ──lease is ours──► watching ──lease is another's──► waiting
 *                                 └ the log is away: stays, and its clock stands still
 */
export class VehicleWatch implements AsyncDisposable {
  readonly #parts: Parts
  #watching: Watching | undefined
  /** By `performance.now`: until then nobody else can have the lease. */
  #heldUntil = -Infinity
  #sending: Promise<void> | undefined
  #isClosed = false
  #timer: NodeJS.Timeout | undefined
  #turn: Promise<void>

  constructor(parts: Parts) {
    this.#parts = parts
    this.#showCounts(parts.metrics)
    this.#turn = this.#takeTurn()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#timer)
    await this.#turn
    if (!this.#watching) return
    this.#rest()
    await this.#sending
    await this.#parts.lease.release().catch((error: unknown) => this.#forgive(error))
  }

  async #takeTurn(): Promise<void> {
    const askedAt = performance.now()
    try {
      const logTime = await this.#parts.lease.hold()
      if (logTime === undefined) this.#rest()
      else this.#work(logTime, askedAt)
    } catch (error) {
      this.#forgive(error)
      this.#watching?.presence.advance(undefined)
    }
    if (this.#isClosed) return
    this.#timer = setTimeout(() => {
      this.#turn = this.#takeTurn()
    }, turnMs)
  }

  #work(logTime: number, askedAt: number): void {
    this.#heldUntil = askedAt + this.#parts.lease.ttlMs
    this.#watching ??= this.#begin()
    const { presence, isConnected } = this.#watching
    presence.advance(isConnected ? logTime : undefined)
    this.#send()
  }

  #begin(): Watching {
    const watching: Watching = { presence: new Presence(this.#parts.limits), isConnected: false }
    void this.#follow(watching)
    this.#parts.logger.info('this instance watches which vehicles are there')
    return watching
  }

  async #follow(watching: Watching): Promise<void> {
    const { presence } = watching
    try {
      const listener: LogListener = {
        onSnapshot: (snapshot) => {
          presence.onSnapshot(snapshot)
          watching.isConnected = true
          this.#send()
        },
        onEntries: (entries) => {
          presence.onEntries(entries)
          this.#send()
        },
        onConnected: (isConnected) => {
          watching.isConnected = isConnected
        },
      }
      watching.follower = await this.#parts.log.follow(listener, { maxRecent })
      if (this.#watching !== watching) await watching.follower.close()
    } catch (error) {
      this.#forgive(error)
    }
  }

  #rest(): void {
    const follower = this.#watching?.follower
    this.#heldUntil = -Infinity
    this.#watching = undefined
    void follower?.close()
  }

  #send(): void {
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = undefined
    })
  }

  /** One append at a time. What is not sent is sent in the next turn, if it is still true then. */
  async #sendAll(): Promise<void> {
    for (;;) {
      const presence = this.#watching?.presence
      const changes = presence && performance.now() < this.#heldUntil ? presence.takeChanges() : []
      if (changes.length === 0) return
      try {
        // oxlint-disable-next-line no-await-in-loop -- one after the other
        await this.#parts.log.append(changes.map(draftOf))
      } catch (error) {
        presence?.giveBack(changes)
        return this.#forgive(error)
      }
    }
  }

  #forgive(error: unknown): void {
    if (error instanceof LogUnavailable) this.#parts.logger.debug({ err: error }, 'the vehicles can not be watched now')
    else this.#parts.logger.error({ err: error }, 'the watch of the vehicles failed; trying again')
  }

  #showCounts(metrics: Metrics): void {
    const watch = () => this.#watching?.presence
    metrics.gauge('vehicles', 'Vehicles, as the instance that watches them sees them.', ['status'], function collect() {
      this.reset()
      for (const [status, count] of Object.entries(watch()?.count() ?? {})) this.set({ status }, count)
    })
  }
}

/** The log puts the time behind it. */
export const draftOf = ({ id, status }: Vehicle): Draft => ({
  kind: 'vehiclestatus',
  vehicle: id,
  sensor: '',
  eventTs: 0,
  json: JSON.stringify({
    update_type: 'vehiclestatus',
    vehicle_id: id,
    value: status,
  } satisfies Omit<VehiclestatusUpdate, 'timestamp'>),
})
