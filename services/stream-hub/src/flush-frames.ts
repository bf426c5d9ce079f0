import type { Arena } from './arena.ts'
import { maxUpdatesBytes, updatesHead, updatesTail, type Protocol } from './frames.ts'
import type { Kept } from './log-window.ts'
import { baseSees, viewSees, type View } from './view.ts'

/** One WebSocket message that many sessions may get. */
export type Frame = {
  readonly bytes: Uint8Array
  /** Who has this frame has everything up to here. */
  readonly toSeq: number
  readonly updates: number
  readonly conflated: number
}

/**
 * The frames of one flush. The updates are written into the arena once; the frames of every view are copied together from
 * runs of them, and views that see the same base share their frames. `touched` are the places of the updates whose vehicle
 * a view names.
 */
export class FlushFrames {
  readonly #arena: Arena
  readonly #kept: readonly Kept[]
  readonly #toSeq: number
  readonly #cursorAt: (seq: number, isPartial: boolean) => string
  /** Where each update begins in the arena. Behind each stands a comma. */
  readonly #offsets: number[]
  readonly #baseSelections = new Map<string, number[]>()
  readonly #baseFrames = new Map<string, Frame[]>()

  constructor(
    arena: Arena,
    kept: readonly Kept[],
    toSeq: number,
    cursorAt: (seq: number, isPartial: boolean) => string,
  ) {
    this.#arena = arena
    this.#kept = kept
    this.#toSeq = toSeq
    this.#cursorAt = cursorAt
    arena.rewind(0)
    this.#offsets = kept.map(({ entry }) => {
      const offset = arena.length
      arena.write(entry.json)
      arena.write(',')
      return offset
    })
    this.#offsets.push(arena.length)
  }

  /** Gives the frames to `send`; they are gone afterwards. */
  give(protocol: Protocol, view: View, touched: readonly number[] | undefined, send: (frames: Frame[]) => void): void {
    const base = this.#baseSelection(view)
    const isPartial = view.mutes !== undefined
    if (touched) {
      const mark = this.#arena.length
      const frames = this.#cut(protocol, select(view, this.#kept, base, touched), isPartial)
      if (frames.length > 0) send(frames)
      this.#arena.rewind(mark)
      return
    }
    const key = `${protocol} ${isPartial} ${view.baseSignature}`
    let frames = this.#baseFrames.get(key)
    if (!frames) this.#baseFrames.set(key, (frames = this.#cut(protocol, base, isPartial)))
    if (frames.length > 0) send(frames)
  }

  #baseSelection(view: View): number[] {
    let selection = this.#baseSelections.get(view.baseSignature)
    if (!selection) {
      selection = []
      for (const [place, { entry }] of this.#kept.entries()) if (baseSees(view, entry)) selection.push(place)
      this.#baseSelections.set(view.baseSignature, selection)
    }
    return selection
  }

  #cut(protocol: Protocol, selection: readonly number[], isPartial: boolean): Frame[] {
    const frames: Frame[] = []
    for (let next = 0; next < selection.length;) {
      const first = next
      let bytes = 0
      let conflated = 0
      while (next < selection.length) {
        const place = selection[next]!
        bytes += this.#offsets[place + 1]! - this.#offsets[place]!
        if (next > first && bytes > maxUpdatesBytes) break
        conflated += this.#kept[place]!.conflated
        next++
      }
      const toSeq = next < selection.length ? this.#kept[selection[next - 1]!]!.seq : this.#toSeq
      const start = this.#arena.length
      this.#arena.write(updatesHead[protocol])
      this.#copyRuns(selection, first, next)
      this.#arena.write(updatesTail(this.#cursorAt(toSeq, isPartial), protocol === 'v2' ? conflated : 0))
      frames.push({ bytes: this.#arena.view(start, this.#arena.length), toSeq, updates: next - first, conflated })
    }
    return frames
  }

  #copyRuns(selection: readonly number[], first: number, end: number): void {
    for (let next = first; next < end;) {
      const run = next++
      while (next < end && selection[next] === selection[next - 1]! + 1) next++
      if (run > first) this.#arena.write(',')
      this.#arena.copy(this.#offsets[selection[run]!]!, this.#offsets[selection[next - 1]! + 1]! - 1)
    }
  }
}

/** The places of what a view sees: its base, decided anew for the updates whose vehicle it names. All by seq. */
export function select(
  view: View,
  kept: readonly Kept[],
  base: readonly number[],
  touched: readonly number[],
): number[] {
  const selection: number[] = []
  let next = 0
  for (const place of touched) {
    while (next < base.length && base[next]! < place) selection.push(base[next++]!)
    if (base[next] === place) next++
    if (viewSees(view, kept[place]!.entry)) selection.push(place)
  }
  while (next < base.length) selection.push(base[next++]!)
  return selection
}
