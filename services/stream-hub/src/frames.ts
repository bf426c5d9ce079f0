import type { Arena } from './arena.ts'

/** `plain`: the old contract. `v2`: the sub-protocol of contracts/stream.ts. */
export type Protocol = 'plain' | 'v2'

export const maxFrameBytes = 64 * 1024
/** The most that a frame has beside its updates: names, cursor, and an id of 64 characters, each escaped. */
const envelopeBytes = 1024
export const maxUpdatesBytes = maxFrameBytes - envelopeBytes

/** What stands before and behind the updates of a frame. The cursor stands behind: it is known when the frame is full. */
export const updatesHead: Record<Protocol, string> = { plain: '{"updates":[', v2: '{"type":"updates","updates":[' }
export const updatesTail = (cursor: string, conflated = 0): string =>
  `],"cursor":${JSON.stringify(cursor)}${conflated > 0 ? `,"conflated":${conflated}` : ''}}`

export type SnapshotPart = {
  id: string
  cursor: string
  part: number
  more: boolean
  reason: 'subscribed' | 'epoch' | 'cursor_unknown'
}
export const snapshotHead = '{"type":"snapshot","updates":['
export const snapshotTail = (part: SnapshotPart): string => `],${JSON.stringify(part).slice(1)}`

/** Makes one frame after the other of updates that are JSON already, for one session. */
export class FrameWriter {
  readonly #arena: Arena
  #start = 0
  #updates = 0

  constructor(arena: Arena) {
    this.#arena = arena
  }

  get updates(): number {
    return this.#updates
  }

  begin(head: string): void {
    this.#arena.rewind(0)
    this.#arena.write(head)
    this.#start = this.#arena.length
    this.#updates = 0
  }

  /** False: it belongs into the next frame, this one is full. The first one always fits. */
  add(json: string): boolean {
    const before = this.#arena.length
    if (this.#updates > 0) this.#arena.write(',')
    this.#arena.write(json)
    if (this.#updates > 0 && this.#arena.length - this.#start > maxUpdatesBytes) {
      this.#arena.rewind(before)
      return false
    }
    this.#updates++
    return true
  }

  /** The frame, until the next one begins. */
  end(tail: string): Uint8Array {
    this.#arena.write(tail)
    return this.#arena.view(0, this.#arena.length)
  }
}
