import { boxHolds, type Box } from './box.ts'
import type { Protocol } from './frames.ts'
import { BoxIndex } from './grid.ts'
import type { Kept } from './log-window.ts'
import type { Filter } from './subscription.ts'
import type { View } from './view.ts'

/** Members that get the same frames, but for the cursor if that is their own. */
export type Group<Member> = {
  readonly protocol: Protocol
  readonly view: View
  readonly hasOwnCursors: boolean
  readonly members: Set<Member>
}

/** What a flush has for a group beside its base. */
export type Concern = {
  /** Places, in what is flushed, of updates that the group may see otherwise than its base; ascending. */
  readonly touched: number[]
  moves?: Moves
}

/** Which vehicles came into, and went out of, the boxes of filters. */
export type Moves = { readonly entered: Map<Filter, Set<string>>; readonly left: Map<Filter, Set<string>> }

type Boxed<Member> = {
  readonly box: Box
  readonly group: Group<Member>
  readonly filter: Filter
  /** A box in which only events count has nothing to tell of what enters and leaves. */
  readonly tellsMoves: boolean
}

/** All groups of a lane, and which of them look at a vehicle or a place: a flush costs what it delivers, not groups × updates. */
export class Groups<Member> {
  readonly #byKey = new Map<string, Group<Member>>()
  readonly #naming = new Map<string, Set<Group<Member>>>()
  readonly #boxes = new BoxIndex<Boxed<Member>>()
  readonly #boxesOf = new Map<Group<Member>, Boxed<Member>[]>()
  /** Those that see something of vehicles that they don't name, wherever these are. */
  readonly #wide = new Set<Group<Member>>()

  get size(): number {
    return this.#byKey.size
  }

  join(member: Member, protocol: Protocol, view: View, hasOwnCursors: boolean): Group<Member> {
    const key = keyOf(protocol, view, hasOwnCursors)
    let group = this.#byKey.get(key)
    if (!group) {
      group = { protocol, view, hasOwnCursors, members: new Set() }
      this.#byKey.set(key, group)
      this.#index(group)
    }
    group.members.add(member)
    return group
  }

  leave(member: Member, group: Group<Member>): void {
    group.members.delete(member)
    if (group.members.size > 0) return
    const { protocol, view, hasOwnCursors } = group
    this.#byKey.delete(keyOf(protocol, view, hasOwnCursors))
    this.#wide.delete(group)
    for (const boxed of this.#boxesOf.get(group) ?? []) this.#boxes.delete(boxed)
    this.#boxesOf.delete(group)
    for (const vehicle of view.named) {
      const naming = this.#naming.get(vehicle)
      naming?.delete(group)
      if (naming?.size === 0) this.#naming.delete(vehicle)
    }
  }

  /** The groups that may see something of what is flushed. It ends now, so vehicles are where they are. */
  concerned(kept: readonly Kept[]): Map<Group<Member>, Concern> {
    const concerned = new Map<Group<Member>, Concern>()
    const concernOf = (group: Group<Member>) => {
      let concern = concerned.get(group)
      if (!concern) concerned.set(group, (concern = { touched: [] }))
      return concern
    }
    for (const group of this.#wide) concernOf(group)
    if (this.#naming.size === 0 && this.#boxes.size === 0) return concerned
    const moved = new Set<string>()
    for (const [index, { entry, where, before }] of kept.entries()) {
      const touch = (group: Group<Member>) => {
        const { touched } = concernOf(group)
        if (touched.at(-1) !== index) touched.push(index)
      }
      for (const group of this.#naming.get(entry.vehicle) ?? []) touch(group)
      if (this.#boxes.size === 0) continue
      const { kind, vehicle } = entry
      const { place } = where
      const isMove = kind === 'position' && !moved.has(vehicle)
      this.#boxes.forEachAt(place, ({ box, group, filter, tellsMoves }) => {
        touch(group)
        if (isMove && tellsMoves && !(before && boxHolds(box, before)))
          below(movesOf(concernOf(group)).entered, filter).add(vehicle)
      })
      if (!isMove) continue
      moved.add(vehicle)
      this.#boxes.forEachAt(before, ({ box, group, filter, tellsMoves }) => {
        if (tellsMoves && !(place && boxHolds(box, place))) below(movesOf(concernOf(group)).left, filter).add(vehicle)
      })
    }
    return concerned
  }

  #index(group: Group<Member>): void {
    const { view } = group
    if (view.base.filters.length > 0) this.#wide.add(group)
    for (const vehicle of view.named) {
      const naming = this.#naming.get(vehicle)
      if (naming) naming.add(group)
      else this.#naming.set(vehicle, new Set([group]))
    }
    const boxes = view.filters.flatMap((filter) =>
      filter.view ? [{ box: filter.view.box, group, filter, tellsMoves: view.boxed.includes(filter) }] : [],
    )
    if (boxes.length > 0) this.#boxesOf.set(group, boxes)
    for (const boxed of boxes) this.#boxes.add(boxed)
  }
}

const movesOf = (concern: Concern): Moves => (concern.moves ??= { entered: new Map(), left: new Map() })

const keyOf = (protocol: Protocol, view: View, hasOwnCursors: boolean) =>
  `${protocol} ${hasOwnCursors} ${view.signature}`

const below = (map: Map<Filter, Set<string>>, filter: Filter): Set<string> => {
  let vehicles = map.get(filter)
  if (!vehicles) map.set(filter, (vehicles = new Set()))
  return vehicles
}
