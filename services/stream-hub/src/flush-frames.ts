import { updateClass } from '@flasktoria/contracts/updates'
import type { Arena } from './arena.ts'
import {
  cursorTail,
  FrameWriter,
  leaveBodies,
  maxUpdatesBytes,
  snapshotHead,
  snapshotTail,
  updatesHead,
  updatesTail,
  type Protocol,
} from './frames.ts'
import type { Concern, Group, Moves } from './groups.ts'
import type { Kept, LogWindow } from './log-window.ts'
import { noState } from './resume-cursor.ts'
import { sees } from './subscription.ts'
import { baseSees, isMuted, viewSees, wantsEach, type View } from './view.ts'

/** One WebSocket message that many sessions may get. */
export type Frame = {
  readonly bytes: Uint8Array
  /** How much of it stands before the cursor, which ends it. */
  readonly bodyLength: number
  /** Who has this frame has everything up to here; it may take the next one to make the state whole. */
  readonly toSeq: number
  readonly updates: number
  readonly conflated: number
}

type Deps = {
  arena: Arena
  window: LogWindow
  /** Everything after one seq up to another one, which is the head of the window. */
  kept: readonly Kept[]
  span: readonly [number, number]
  cursorAt: (seq: number, stateTo: number) => string
}

/**
 * The frames of one flush. The updates are written into the arena once; the frames of every view are copied together from
 * runs of them, and views that see the same base share their frames.
 */
export class FlushFrames {
  readonly #arena: Arena
  readonly #window: LogWindow
  readonly #kept: readonly Kept[]
  readonly #fromSeq: number
  readonly #toSeq: number
  readonly #cursorAt: (seq: number, stateTo: number) => string
  /** Where each update begins in the arena. Behind each stands a comma. */
  readonly #offsets: number[]
  #lastTail: { seq: number; stateTo: number; text: string } | undefined
  readonly #baseSelections = new Map<string, number[]>()
  readonly #baseFrames = new Map<string, Frame[]>()

  constructor({ arena, window, kept, span, cursorAt }: Deps) {
    this.#arena = arena
    this.#window = window
    this.#kept = kept
    this.#fromSeq = span[0]
    this.#toSeq = span[1]
    this.#cursorAt = cursorAt
    arena.rewind(0)
    this.#offsets = kept.map(({ entry, isCurrent }) => {
      const offset = arena.length
      // Others than readings are wanted by nobody when a newer one is there.
      if (isCurrent || entry.kind === 'sensordata') {
        arena.write(entry.json)
        arena.write(',')
      }
      return offset
    })
    this.#offsets.push(arena.length)
  }

  /** Gives the frames of a group to `send`; they are gone afterwards. */
  give({ protocol, view }: Group<unknown>, concern: Concern, send: (frames: readonly Frame[]) => void): void {
    const base = this.#baseSelection(view)
    const { touched, moves } = concern
    if (touched.length === 0 && !moves) {
      const key = `${protocol} ${view.mutes !== undefined} ${view.baseSignature}`
      let frames = this.#baseFrames.get(key)
      if (!frames) this.#baseFrames.set(key, (frames = this.#cut(protocol, view, base)))
      if (frames.length > 0) send(frames)
      return
    }
    const mark = this.#arena.length
    const updates = this.#cut(protocol, view, select(view, this.#kept, base, concern), moves !== undefined)
    const frames = moves ? [...this.#left(moves), ...this.#entered(view, moves), ...updates] : updates
    if (frames.length > 0) send(frames)
    this.#arena.rewind(mark)
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

  *#left({ left }: Moves): Generator<Frame> {
    for (const [filter, vehicles] of left)
      for (const body of leaveBodies(filter.view!.id, vehicles)) {
        const start = this.#arena.length
        this.#arena.write(body)
        yield this.#finish(start, { toSeq: this.#fromSeq, stateTo: noState, updates: 0, conflated: 0 })
      }
  }

  *#entered({ mutes }: View, { entered }: Moves): Generator<Frame> {
    for (const [filter, vehicles] of entered) {
      const writer = new FrameWriter(this.#arena)
      const part = { id: filter.view!.id, part: 0, more: true, reason: 'entered' as const }
      const finish = (more: boolean) => {
        writer.end(snapshotTail({ ...part, more }))
        part.part++
        const { updates } = writer
        return this.#finish(start, { toSeq: this.#fromSeq, stateTo: noState, updates, conflated: 0 })
      }
      let start = this.#arena.length
      writer.begin(snapshotHead, start)
      for (const { entry, where } of this.#window.state(this.#toSeq, vehicles)) {
        if (!sees(filter, entry, where.place) || isMuted(mutes, entry) || writer.add(entry.json)) continue
        yield finish(true)
        start = this.#arena.length
        writer.begin(snapshotHead, start)
        writer.add(entry.json)
      }
      yield finish(false)
    }
  }

  /** `closes`: one frame at least, for it makes whole what the ones before began. */
  #cut(protocol: Protocol, view: View, selection: readonly number[], closes = false): Frame[] {
    const frames: Frame[] = []
    let next = 0
    do {
      const chosen: number[] = []
      let bytes = 0
      let conflated = 0
      for (; next < selection.length; next++) {
        const place = selection[next]!
        const { entry, where, isCurrent } = this.#kept[place]!
        if (!isCurrent && !wantsEach(view, entry, where.place)) {
          if (!entry.isLate) conflated++
          continue
        }
        bytes += this.#offsets[place + 1]! - this.#offsets[place]!
        if (chosen.length > 0 && bytes > maxUpdatesBytes) break
        chosen.push(place)
      }
      if (chosen.length === 0 && !(closes && frames.length === 0)) break
      const isLast = next === selection.length
      const toSeq = isLast ? this.#toSeq : this.#kept[chosen.at(-1)!]!.seq
      const start = this.#arena.length
      this.#arena.write(updatesHead[protocol])
      this.#copyRuns(chosen)
      this.#arena.write(updatesTail(protocol === 'v2' ? conflated : 0))
      const isPartial = view.mutes || (view.boxed.length > 0 && !isLast)
      frames.push(
        this.#finish(start, { toSeq, stateTo: isPartial ? noState : toSeq, updates: chosen.length, conflated }),
      )
    } while (next < selection.length)
    return frames
  }

  #finish(start: number, { stateTo, ...frame }: Omit<Frame, 'bytes' | 'bodyLength'> & { stateTo: number }): Frame {
    const bodyLength = this.#arena.length - start
    this.#arena.write(this.#cursorTail(frame.toSeq, stateTo))
    return { ...frame, bodyLength, bytes: this.#arena.view(start, this.#arena.length) }
  }

  /** Most frames of a flush reach equally far. */
  #cursorTail(seq: number, stateTo: number): string {
    const last = this.#lastTail
    if (last?.seq === seq && last.stateTo === stateTo) return last.text
    const text = cursorTail(this.#cursorAt(seq, stateTo))
    this.#lastTail = { seq, stateTo, text }
    return text
  }

  #copyRuns(places: readonly number[]): void {
    for (let next = 0; next < places.length;) {
      const run = next++
      while (next < places.length && places[next] === places[next - 1]! + 1) next++
      if (run > 0) this.#arena.write(',')
      this.#arena.copy(this.#offsets[places[run]!]!, this.#offsets[places[next - 1]! + 1]! - 1)
    }
  }
}

/** The places of what a view sees: its base, decided anew where the flush concerns it otherwise. All by seq. */
export function select(
  view: View,
  kept: readonly Kept[],
  base: readonly number[],
  { touched, moves }: Concern,
): number[] {
  const selection: number[] = []
  let next = 0
  for (const place of touched) {
    while (next < base.length && base[next]! < place) selection.push(base[next++]!)
    if (base[next] === place) next++
    const { entry, where } = kept[place]!
    if (viewSees(view, entry, where.place) && !(moves && comesWithSnapshot(view, kept[place]!, moves)))
      selection.push(place)
  }
  while (next < base.length) selection.push(base[next++]!)
  return selection
}

/** A vehicle that enters a box comes as a snapshot, with its state, unless another subscription sees it anyway. */
function comesWithSnapshot({ filters }: View, { entry, where }: Kept, { entered }: Moves): boolean {
  if (entered.size === 0 || updateClass[entry.kind] === 'event') return false
  return filters.every(
    (filter) => !sees(filter, entry, where.place) || entered.get(filter)?.has(entry.vehicle) === true,
  )
}
