import { updateClass } from '@flasktoria/contracts/updates'
import assert from 'node:assert/strict'
import { parseResumeCursor } from './resume-cursor.ts'
import { contains, isNewer, keyOf, nameOf, wants, wantsThere, type Fact, type Wishes } from './test-reference-model.ts'

/** `changes`: how often it came as an update. */
type Known = { readonly fact: Fact; readonly changes: number }

/** What a client application knows by one of its subscriptions, and what it has still to get. */
export class Picture {
  readonly id: string
  /** As the hub understands them in what arrives now. */
  wishes: Wishes
  /** What the hub was asked and has not answered yet; undefined: to end. */
  asked: (Wishes | undefined)[] = []
  readonly state = new Map<string, Known>()
  readonly owed = new Set<Fact>()
  /** Where it can go on; undefined: it has to begin anew. */
  cursor: string | undefined
  /** Of some vehicles it may show too much or too little, for what came could have been for another one. */
  isVague = false
  /** What came before the hub knew of it, was not for it. */
  isAnswered = false
  /** On which connection it began. */
  beganOn = 0
  #isWhole = false
  #flushedAtMs = -Infinity
  #allowance = 0
  #forgiven = 0
  /** The newest of each key that it ever showed since it began. */
  readonly #newest = new Map<string, Fact>()
  readonly #late = new Set<Fact>()

  constructor(id: string, wishes: Wishes) {
    this.id = id
    this.wishes = wishes
  }

  get isEnding(): boolean {
    return this.asked.includes(undefined)
  }
  /** Its wishes when everything is answered. */
  get wanted(): Wishes {
    return this.asked.at(-1) ?? this.wishes
  }
  get #allWishes(): Wishes[] {
    return [this.wishes, ...this.asked.filter((wishes) => wishes !== undefined)]
  }

  get isResumable(): boolean {
    return this.cursor !== undefined && this.wanted === this.wishes
  }

  /** It is subscribed to anew. */
  beginAsWanted(connection: number): void {
    this.begin(connection)
    this.isAnswered = false
    this.wishes = this.wanted
    this.asked = []
    this.owed.clear()
  }

  /** Nothing that it knows counts any more. */
  begin(connection: number): void {
    this.cursor = undefined
    this.beganOn = connection
    this.#isWhole = false
    this.isVague = false
    this.state.clear()
    this.#newest.clear()
    this.#late.clear()
  }

  ask(wishes: Wishes): void {
    this.asked.push(wishes)
    // Where the vehicle is by then, is no matter of this picture.
    const isOwed = (fact: Fact) => this.#isOwed(fact) && (!wishes.bbox || fact.update.update_type === 'anomaly')
    for (const fact of this.owed) if (!isOwed(fact)) this.owed.delete(fact)
  }

  /** The hub has understood what it was asked first. False: this is over. */
  understood(): boolean {
    const wishes = this.asked.shift()
    this.isAnswered = true
    if (!wishes) return false
    if (wishes !== this.wishes) {
      this.wishes = wishes
      this.forgetPace()
      // From the next frame on it goes on with the new ones.
      this.cursor = undefined
      for (const [key, { fact }] of this.state) if (!wants(wishes, fact.update)) this.state.delete(key)
    }
    return true
  }

  /** It is served otherwise from now on. */
  forgetPace(): void {
    this.#flushedAtMs = -Infinity
  }

  get maxRateHz(): number {
    return this.wishes.maxRateHz ?? Infinity
  }

  /** Something was sent to it; what was held up, and the rest of a frame that was cut, may come right before the next. */
  flushedAt(nowMs: number): void {
    if (nowMs === this.#flushedAtMs) return
    this.#allowance = Math.min(3, this.#allowance + ((nowMs - this.#flushedAtMs) / 1_000) * this.maxRateHz)
    this.#flushedAtMs = nowMs
    assert.ok(this.#allowance >= 1, `too many frames for ${this.maxRateHz} Hz`)
    if (this.maxRateHz < Infinity) this.#allowance -= 1
  }

  keepCursor(cursor: string): void {
    if (!this.#isWhole || this.asked.length > 0) return
    assert.ok(!this.isAhead(cursor), `the cursor goes back from ${this.cursor} to ${cursor}`)
    this.cursor = cursor
  }

  isAhead(cursor: string): boolean {
    const [own, other] = [this.cursor ?? cursor, cursor].map((text) => parseResumeCursor(text))
    assert.ok(own && other, `no cursor: ${cursor}`)
    return own.epoch === other.epoch && own.seq > other.seq
  }

  loseCursor(): void {
    this.cursor = undefined
    this.#isWhole = false
  }

  /** The hub does not know how much a mute has hidden: what it sends for it, it may have sent before. */
  forgive(times: number): void {
    this.#forgiven += times
  }

  /* ── what it shows ─────────────────────────────────────────────────────────────────────────────────────────────── */

  shows(vehicle: string): boolean {
    return this.state.values().some(({ fact }) => fact.update.vehicle_id === vehicle)
  }

  takes(fact: Fact): boolean {
    const { update } = fact
    const { bbox } = this.wishes
    const newest = this.#newest.get(keyOf(update))
    // Where each reading counts, an older one comes, too: it is for another subscription.
    if (update.update_type === 'sensordata' && newest && isNewer(newest, fact)) return false
    if (!bbox) return true
    return this.shows(update.vehicle_id) && (update.update_type !== 'position' || contains(bbox, update))
  }

  show(snapshot: { facts: readonly Fact[]; reason: string; isReplacing: boolean; isWhole: boolean }): void {
    if (snapshot.isReplacing) {
      this.state.clear()
      this.isVague = false
    }
    this.#isWhole = snapshot.isWhole
    if (!snapshot.isWhole) this.cursor = undefined
    for (const fact of snapshot.facts) {
      const { update } = fact
      assert.equal(updateClass[update.update_type], 'merge', 'an anomaly in a snapshot')
      const isThere = update.update_type !== 'position' || wantsThere(this.wishes, update)
      assert.ok(wants(this.wishes, update) && isThere, `not asked for: ${nameOf(fact)}`)
      assert.ok(!fact.isLate, `a late record: ${nameOf(fact)}`)
      this.#keep(fact, 0)
      if (snapshot.reason === 'epoch' || snapshot.reason === 'cursor_unknown') continue
      // Of what is new to its view, it gets no more than this.
      for (const owed of this.owed)
        if (keyOf(owed.update) === keyOf(update) && !isNewer(owed, fact)) this.owed.delete(owed)
    }
  }

  /** False: it had exactly this one by an earlier update. `mayRepeat`: it may come again. */
  learn(fact: Fact, mayRepeat: boolean): boolean {
    const known = this.state.get(keyOf(fact.update))
    const changes = known?.fact === fact ? known.changes : 0
    if (changes > this.#forgiven) return false
    this.#keep(fact, mayRepeat ? 0 : changes + 1)
    this.owed.delete(fact)
    return true
  }

  /** It is no part of the picture, but a point of its charts. False: that was there. */
  learnLate(fact: Fact): boolean {
    if (this.#late.has(fact)) return false
    this.#late.add(fact)
    this.owed.delete(fact)
    return true
  }

  leave(vehicles: readonly string[]): void {
    const isGone = ({ update }: Fact) => vehicles.includes(update.vehicle_id)
    for (const [key, { fact }] of this.state) if (isGone(fact)) this.state.delete(key)
    for (const fact of this.owed)
      if (isGone(fact) && updateClass[fact.update.update_type] === 'merge') this.owed.delete(fact)
  }

  #keep(fact: Fact, changes: number): void {
    const key = keyOf(fact.update)
    const newest = this.#newest.get(key)
    assert.ok(!newest || !isNewer(newest, fact), `older after newer: ${newest && nameOf(newest)}, then ${nameOf(fact)}`)
    this.#newest.set(key, fact)
    this.state.set(key, { fact, changes })
  }

  /* ── what it has still to get ──────────────────────────────────────────────────────────────────────────────────── */

  expect(fact: Fact, isMuted: boolean): void {
    const { update } = fact
    // Who leaves a box takes along the readings that were not sent yet.
    if (update.update_type === 'position' && !fact.isLate && !this.#allWishes.every((one) => wantsThere(one, update)))
      for (const owed of this.owed)
        if (owed.update.update_type === 'sensordata' && owed.update.vehicle_id === update.vehicle_id)
          this.owed.delete(owed)
    if (!isMuted && this.#isOwed(fact)) this.owed.add(fact)
  }

  /** What comes once and is not made up for by what comes later. */
  #isOwed(fact: Fact): boolean {
    const { update, place } = fact
    return this.#allWishes.every(
      (wishes) =>
        wants(wishes, update) &&
        wantsThere(wishes, place) &&
        (update.update_type === 'anomaly' ||
          (update.update_type === 'sensordata' &&
            wishes.every === true &&
            (!wishes.bbox || this.shows(update.vehicle_id)))),
    )
  }
}
