import type { Arena } from './arena.ts'
import { FrameWriter, snapshotHead, snapshotTail, type SnapshotPart } from './frames.ts'
import type { Kept, LogWindow } from './log-window.ts'
import { canonicalText, sees, type Filter } from './subscription.ts'

/**
 * Who asks for the same within this time gets the same frames: the longer they took to make, the longer; and what came since
 * is sent behind them to each.
 */
const minSharedMs = 50
const maxSharedMs = 1_000
const bytesPerSharedMs = 2_000
/** More than this is not kept for others. */
const maxSharedBytes = 64 * 1024 * 1024

export type SnapshotFrame = { readonly body: Uint8Array; readonly updates: number; readonly more: boolean }

/** The state of one moment as a filter sees it, in frames that are made when the first one asks for them. */
export class SharedSnapshot {
  /** It is the state up to here. */
  readonly seq: number
  readonly #madeAtMs: number
  readonly #part: Omit<SnapshotPart, 'part' | 'more'>
  readonly #entries: Iterator<Kept>
  readonly #frames: SnapshotFrame[] = []
  #heldBack: Kept | undefined
  #bytes = 0

  constructor(part: Omit<SnapshotPart, 'part' | 'more'>, seq: number, madeAtMs: number, entries: Iterator<Kept>) {
    this.#part = part
    this.seq = seq
    this.#madeAtMs = madeAtMs
    this.#entries = entries
  }

  get bytes(): number {
    return this.#bytes
  }

  isFresh(nowMs: number): boolean {
    const sharedMs = Math.min(maxSharedMs, Math.max(minSharedMs, this.#bytes / bytesPerSharedMs))
    return nowMs - this.#madeAtMs < sharedMs
  }

  frame(part: number, arena: Arena): SnapshotFrame {
    while (this.#frames.length <= part) this.#makeNext(arena)
    return this.#frames[part]!
  }

  #makeNext(arena: Arena): void {
    const writer = new FrameWriter(arena)
    writer.begin(snapshotHead)
    let more = false
    for (let kept = this.#heldBack; ;) {
      if (kept?.isCurrent && !writer.add(kept.entry.json)) {
        this.#heldBack = kept
        more = true
        break
      }
      const next = this.#entries.next()
      if (next.done) break
      kept = next.value
    }
    const { updates } = writer
    const body = Buffer.from(writer.end(snapshotTail({ ...this.#part, part: this.#frames.length, more })))
    this.#bytes += body.length
    this.#frames.push({ body, updates, more })
  }
}

/** The snapshots that were asked for lately: a storm of clients that see the same costs one. */
export class SharedSnapshots {
  readonly #window: LogWindow
  readonly #byKey = new Map<string, SharedSnapshot>()

  constructor(window: LogWindow) {
    this.#window = window
  }

  /** Of a filter without viewport, whose state depends on nothing but the entries. Undefined: too much is kept already. */
  find(id: string, filter: Filter, reason: SnapshotPart['reason'], nowMs: number): SharedSnapshot | undefined {
    const key = JSON.stringify([id, reason, canonicalText(filter)])
    const known = this.#byKey.get(key)
    if (known?.isFresh(nowMs)) return known
    this.#forgetOld(nowMs)
    if ([...this.#byKey.values()].reduce((sum, { bytes }) => sum + bytes, 0) >= maxSharedBytes) return undefined
    const { head } = this.#window
    const snapshot = new SharedSnapshot({ id, reason }, head, nowMs, this.#entries(filter, head))
    this.#byKey.set(key, snapshot)
    return snapshot
  }

  clear(): void {
    this.#byKey.clear()
  }

  *#entries(filter: Filter, seq: number): Generator<Kept> {
    for (const kept of this.#window.state(seq, filter.vehicles)) if (sees(filter, kept.entry, undefined)) yield kept
  }

  #forgetOld(nowMs: number): void {
    for (const [key, snapshot] of this.#byKey) if (!snapshot.isFresh(nowMs)) this.#byKey.delete(key)
  }
}
