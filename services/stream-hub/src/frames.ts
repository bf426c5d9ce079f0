import type { ServerMessage } from '@flasktoria/contracts/stream'
import type { Arena } from './arena.ts'

/** `plain`: the old contract. `v2`: the sub-protocol of contracts/stream.ts. */
export type Protocol = 'plain' | 'v2'

export const maxFrameBytes = 64 * 1024
/** The most that a frame has beside its updates: names, cursor, and an id of 64 characters, each escaped. */
const envelopeBytes = 1024
export const maxUpdatesBytes = maxFrameBytes - envelopeBytes

/**
 * A frame is a head, updates, and a tail that ends with the cursor: it is known when the frame is full, and may differ where
 * all the rest is shared.
 */
export const updatesHead: Record<Protocol, string> = { plain: '{"updates":[', v2: '{"type":"updates","updates":[' }
export const updatesTail = (conflated = 0): string => `],${conflated > 0 ? `"conflated":${conflated},` : ''}`
export const cursorTail = (cursor: string): string => `"cursor":"${cursor}"}`

export type SnapshotPart = Omit<Extract<ServerMessage, { type: 'snapshot' }>, 'type' | 'updates' | 'cursor'>
export const snapshotHead = '{"type":"snapshot","updates":['
export const snapshotTail = (part: SnapshotPart): string => `],${JSON.stringify(part).slice(1, -1)},`

/** So many ids fit into one frame. */
const maxLeaving = 400

/** Vehicles that left a view: frames without their cursor. */
export function* leaveBodies(id: string, vehicles: Iterable<string>): Generator<string> {
  const all = [...vehicles]
  for (let next = 0; next < all.length; next += maxLeaving)
    yield `${JSON.stringify({ type: 'leave', id, vehicles: all.slice(next, next + maxLeaving) }).slice(0, -1)},`
}

/** Makes one frame after the other of updates that are JSON already. */
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

  /** `at`: where in the arena; what stands behind is gone. */
  begin(head: string, at = 0): void {
    this.#arena.rewind(at)
    this.#start = at
    this.#arena.write(head)
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
    return this.#arena.view(this.#start, this.#arena.length)
  }
}
