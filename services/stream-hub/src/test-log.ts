import type { Draft, Entry, LogFollower, LogListener, Snapshot } from '@flasktoria/live-log/log'
import { createMemoryLog, type MemoryLog } from '@flasktoria/live-log/log-memory'

type Delivery = { snapshot: Snapshot } | { entries: readonly Entry[] }

/** A live log that can come back without its newest entries, and whose ways to the hubs can be slow or break. */
export class TestLog {
  readonly #maxRecent: number
  readonly #ways = new Set<Way>()
  #drafts: Draft[] = []
  #log: MemoryLog
  /** Of the draft that is appended: the log takes everything when it happens. */
  #nowTs = 0

  constructor(maxRecent: number) {
    this.#maxRecent = maxRecent
    this.#log = this.#createLog()
  }

  async append(draft: Draft): Promise<void> {
    this.#drafts.push(draft)
    await this.#take(draft)
  }

  /** Another Redis takes over, to which the last ones had not come. */
  async failOver(lost: number): Promise<void> {
    this.#drafts = this.#drafts.slice(0, Math.max(0, this.#drafts.length - lost))
    this.#log = this.#createLog()
    for (const draft of this.#drafts) await this.#take(draft)
    for (const way of this.#ways) await way.follow(this.#log, 'epoch')
  }

  /** `onRead`: the hub is about to read what is delivered. */
  async lead(listener: LogListener, onRead: (delivery: Delivery) => void): Promise<Way> {
    const way = new Way(listener, onRead, () => this.#log)
    this.#ways.add(way)
    await way.follow(this.#log, 'start')
    return way
  }

  async end(way: Way): Promise<void> {
    this.#ways.delete(way)
    await way.end()
  }

  #createLog = (): MemoryLog => createMemoryLog({ maxRecent: this.#maxRecent, now: () => this.#nowTs })

  async #take(draft: Draft): Promise<void> {
    this.#nowTs = draft.eventTs
    await this.#log.append([draft])
  }
}

/** From the log to a hub. */
export class Way {
  readonly #listener: LogListener
  readonly #onRead: (delivery: Delivery) => void
  readonly #log: () => MemoryLog
  #follower: LogFollower | undefined
  #underway: Delivery[] = []
  isHeld = false

  constructor(listener: LogListener, onRead: (delivery: Delivery) => void, log: () => MemoryLog) {
    this.#listener = listener
    this.#onRead = onRead
    this.#log = log
  }

  async follow(log: MemoryLog, reason: Snapshot['reason']): Promise<void> {
    await this.#follower?.close()
    this.#follower = await log.follow({
      onSnapshot: (snapshot) => this.#carry({ snapshot: { ...snapshot, reason } }),
      onEntries: (entries) => this.#carry({ entries }),
    })
  }

  /** What is underway is lost, and more than the log could give again. */
  async breakOff(): Promise<void> {
    this.#underway = []
    this.#listener.onConnected?.(false)
    await this.follow(this.#log(), 'gap')
  }

  deliver(count: number): void {
    for (const delivery of this.#underway.splice(0, count)) {
      this.#onRead(delivery)
      if ('snapshot' in delivery) {
        this.#listener.onSnapshot(delivery.snapshot)
        this.#listener.onConnected?.(true)
      } else this.#listener.onEntries(delivery.entries)
    }
  }

  async end(): Promise<void> {
    await this.#follower?.close()
  }

  #carry(delivery: Delivery): void {
    this.#underway.push(delivery)
    if (!this.isHeld) this.deliver(Infinity)
  }
}
