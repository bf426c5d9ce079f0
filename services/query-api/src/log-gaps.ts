import type { LackReason } from '@flasktoria/contracts/coverage'
import type { Snapshot } from '@flasktoria/live-log/log'

/** What arrived between these times may be missing; both by the clock of arrival. */
export type Lack = { from: number; to: number; reason: LackReason }

const reasonOf = { start: 'before_start', gap: 'log_gap', epoch: 'log_restarted' } as const

/** Far more than a log breaks while anybody asks about it; beyond it two neighbours count as one. */
const maxGaps = 64

/** When a reader of the live log may have missed something. Times are parameters. */
export class LogGaps {
  #epoch = ''
  #head = 0
  /** Everything that arrived up to then was heard. */
  #heardAt = -Infinity
  #isAway = false
  /** Oldest first. */
  #gaps: Lack[] = []

  /** The place in the log up to which everything was heard; undefined: nothing yet. */
  get cursor() {
    return this.#epoch === '' ? undefined : { epoch: this.#epoch, seq: this.#head }
  }

  /** The last seq that was heard of this epoch; 0: none. */
  heardUpTo(epoch: string): number {
    return epoch === this.#epoch ? this.#head : 0
  }

  onSnapshot({ epoch, head, recent, reason }: Omit<Snapshot, 'state'>, now: number): void {
    const [first] = recent
    const goesOn = epoch === this.#epoch && (first?.seq ?? head + 1) <= this.#head + 1
    if (!goesOn) this.#add({ from: this.#heardAt, to: first?.appendedAt || now, reason: reasonOf[reason] })
    this.#epoch = epoch
    this.#head = head
    this.#heardAt = now
    this.#isAway = false
  }

  onEntries(lastSeq: number, now: number): void {
    this.#head = lastSeq
    this.#heardAt = now
  }

  onConnected(isConnected: boolean): void {
    this.#isAway = !isConnected
  }

  /** Those that still matter when everything up to `since` is gone anyway, oldest first. */
  after(since: number, now: number): Lack[] {
    this.#gaps = this.#gaps.filter(({ to }) => to > since)
    return this.#isAway ? [...this.#gaps, { from: this.#heardAt, to: now, reason: 'log_away' }] : [...this.#gaps]
  }

  #add(gap: Lack): void {
    this.#gaps.push(gap)
    if (this.#gaps.length <= maxGaps) return
    const [one, next] = this.#gaps
    this.#gaps.splice(0, 2, { ...one!, to: next!.to })
  }
}
