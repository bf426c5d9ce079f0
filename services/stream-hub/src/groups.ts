import type { Protocol } from './frames.ts'
import type { Kept } from './log-window.ts'
import type { View } from './view.ts'

/** Members that get the same frames. */
export type Group<Member> = { readonly protocol: Protocol; readonly view: View; readonly members: Set<Member> }

/** All groups, and which of them name a vehicle: the cost of a flush follows what it delivers, not groups × updates. */
export class Groups<Member> {
  readonly #byKey = new Map<string, Group<Member>>()
  readonly #naming = new Map<string, Set<Group<Member>>>()
  /** Those that see something of vehicles that they don't name. */
  readonly #wide = new Set<Group<Member>>()

  get size(): number {
    return this.#byKey.size
  }

  join(member: Member, protocol: Protocol, view: View): Group<Member> {
    const key = `${protocol} ${view.signature}`
    let group = this.#byKey.get(key)
    if (!group) {
      group = { protocol, view, members: new Set() }
      this.#byKey.set(key, group)
      if (view.base.length > 0) this.#wide.add(group)
      for (const vehicle of view.named) {
        const naming = this.#naming.get(vehicle)
        if (naming) naming.add(group)
        else this.#naming.set(vehicle, new Set([group]))
      }
    }
    group.members.add(member)
    return group
  }

  leave(member: Member, group: Group<Member>): void {
    group.members.delete(member)
    if (group.members.size > 0) return
    this.#wide.delete(group)
    this.#byKey.delete(`${group.protocol} ${group.view.signature}`)
    for (const vehicle of group.view.named) {
      const naming = this.#naming.get(vehicle)
      naming?.delete(group)
      if (naming?.size === 0) this.#naming.delete(vehicle)
    }
  }

  /** The groups that may see one of the updates; with the places of those whose vehicle it names, if there are any. */
  concerned(kept: readonly Kept[]): Map<Group<Member>, number[] | undefined> {
    const concerned = new Map<Group<Member>, number[] | undefined>()
    for (const group of this.#wide) concerned.set(group, undefined)
    for (const [place, { entry }] of kept.entries())
      for (const group of this.#naming.get(entry.vehicle) ?? []) {
        const places = concerned.get(group)
        if (places) places.push(place)
        else concerned.set(group, [place])
      }
    return concerned
  }
}
