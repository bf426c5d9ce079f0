import type { FleetEncoder } from './encode-fleet.ts'
import { Dice } from './random.ts'
import type { FleetListener } from './simulator-fleet.ts'

/** What befalls the records of real fleets. */
export const dirtKinds = [
  'garbage',
  'flipped bits',
  'duplicate',
  'late',
  'future',
  'not a number',
  'null island',
  'teleport',
] as const
export type DirtKind = (typeof dirtKinds)[number]

/** Those that any record can suffer, and those that only a place can. */
const ofReadings = 6
const ofFixes = dirtKinds.length
/** No anomaly is made unreadable: who counts them shall find all, if not in time and not only once. */
const ofAnomalies = ['duplicate', 'late'] as const satisfies DirtKind[]

const maxHeld = 4_096
const lateMs = { min: 20_000, max: 300_000 }
const futureMs = { min: 600_000, max: 86_400_000 }

type Held = { vehicle: number; stream: number; time: number; record: Buffer; dueAt: number }

/**
 * Stands between a fleet and its encoder and spoils a share of the records: always the same ones for the same seed, and the
 * lives of the fleet stay what they are.
 */
export class Dirt implements FleetListener {
  readonly counts: Record<DirtKind, number>
  readonly #encoder: FleetEncoder
  readonly #share: number
  readonly #dice: Dice
  /** Under way for too long. */
  #held: Held[] = []

  constructor(encoder: FleetEncoder, share: number, seed: number) {
    this.#encoder = encoder
    this.#share = share
    this.#dice = new Dice(1, seed ^ 0x00d1_127f)
    this.counts = Object.fromEntries(dirtKinds.map((kind) => [kind, 0])) as Record<DirtKind, number>
  }

  /** Before each turn: what was late arrives. */
  deliverLate(): void {
    const now = this.#encoder.ts
    if (!this.#held.some(({ dueAt }) => dueAt <= now)) return
    for (const held of this.#held) if (held.dueAt <= now) this.#deliver(held)
    this.#held = this.#held.filter(({ dueAt }) => dueAt > now)
  }

  fix(vehicle: number, lat: number, long: number): void {
    const kind = this.#draw(ofFixes)
    const encoder = this.#encoder
    if (kind === 'null island') encoder.fix(vehicle, 0, 0)
    else if (kind === 'not a number') encoder.fix(vehicle, NaN, NaN)
    else if (kind === 'teleport') encoder.fix(vehicle, lat + this.#degrees(), long + this.#degrees())
    else this.#spoil(kind, () => encoder.fix(vehicle, lat, long))
  }

  reading(vehicle: number, sensor: string, value: number, decimals: number): void {
    const kind = this.#draw(ofReadings)
    const measured = kind === 'not a number' ? NaN : value
    this.#spoil(kind, () => this.#encoder.reading(vehicle, sensor, measured, decimals))
  }

  word(vehicle: number, sensor: string, word: string): void {
    const kind = this.#draw(ofReadings)
    this.#spoil(kind, () => this.#encoder.word(vehicle, sensor, kind === 'not a number' ? 'NaN' : word))
  }

  anomaly(vehicle: number, sensor: string, anomalyId: number): void {
    const kind = this.#isSpoilt() ? this.#count(ofAnomalies[this.#dice.integer(0, ofAnomalies.length)]!) : undefined
    this.#spoil(kind, () => this.#encoder.anomaly(vehicle, sensor, anomalyId))
  }

  #isSpoilt(): boolean {
    return this.#dice.isLikely(0, this.#share)
  }

  #draw(kinds: number): DirtKind | undefined {
    return this.#isSpoilt() ? this.#count(dirtKinds[this.#dice.integer(0, kinds)]!) : undefined
  }

  #count(kind: DirtKind): DirtKind {
    this.counts[kind] += 1
    return kind
  }

  #spoil(kind: DirtKind | undefined, encode: () => void): void {
    const encoder = this.#encoder
    if (kind === 'future') {
      const { ts } = encoder
      encoder.ts = ts + Math.round(this.#dice.between(0, futureMs.min, futureMs.max))
      encode()
      encoder.ts = ts
      return
    }
    encode()
    if (kind === 'garbage') this.#scramble()
    else if (kind === 'flipped bits') this.#flipBits()
    else if (kind === 'duplicate') encoder.repeat()
    else if (kind === 'late') this.#hold()
  }

  #scramble(): void {
    const record = this.#encoder.last()
    for (let at = 0; at < record.length; at++) record[at] = this.#dice.integer(0, 256)
  }

  #flipBits(): void {
    const record = this.#encoder.last()
    for (let flips = 1 + this.#dice.integer(0, 3); flips > 0; flips--)
      record[this.#dice.integer(0, record.length)]! ^= 1 << this.#dice.integer(0, 8)
  }

  /** Between fifty and some hundreds of kilometres. */
  #degrees(): number {
    return this.#dice.between(0, 0.5, 3) * (this.#dice.isLikely(0, 0.5) ? 1 : -1)
  }

  #hold(): void {
    const record = Buffer.from(this.#encoder.last())
    const { vehicle, stream, time } = this.#encoder.withdraw()
    const delay = this.#dice.between(0, lateMs.min, lateMs.max)
    this.#held.push({ vehicle, stream, time, record, dueAt: time + delay })
    if (this.#held.length > maxHeld) this.#deliver(this.#held.shift()!)
  }

  #deliver({ vehicle, stream, time, record }: Held): void {
    this.#encoder.raw(vehicle, stream, time, record)
  }
}
