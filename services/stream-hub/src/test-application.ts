import { plainFrameSchema, serverMessageSchema, type ServerMessage } from '@flasktoria/contracts/stream'
import { plainKinds, updateClass, type Update } from '@flasktoria/contracts/updates'
import { MuteRules, type MuteRule } from '@flasktoria/live-log/mutes'
import assert from 'node:assert/strict'
import { maxFrameBytes, type Protocol } from './frames.ts'
import type { Hub } from './hub.ts'
import { parseResumeCursor } from './resume-cursor.ts'
import type { Session } from './session.ts'
import { Line, type Sent, type Stall } from './test-line.ts'
import { Picture } from './test-picture.ts'
import { changed, keyOf, nameOf, sensorOf, wants, wantsThere, type Fact, type Wishes } from './test-reference-model.ts'

export type Place = {
  readonly hub: Hub
  /** The number of the newest fact that the hub knows of. */
  readonly readTo: number
}

type World = {
  readonly nowMs: number
  /** What a hub has to say can only be a fact. */
  factOf: (update: Update) => Fact
  /** A hub has forgotten something. */
  readonly mayHaveGaps: boolean
}

type Message<Type extends ServerMessage['type']> = Extract<ServerMessage, { type: Type }>

const maxBufferedBytes = 4_096

/**
 * A client application as it should be: it keeps its cursor, comes back to any hub, and notices at once what no hub may do.
 */
export class Application {
  readonly protocol: Protocol
  readonly pictures = new Map<string, Picture>()
  readonly #world: World
  /** On which connection each anomaly came. */
  readonly #anomalies = new Map<Fact, number>()
  /** As the hub obeys them, and as they were when what arrives was sent. */
  #mutes = new MuteRules()
  #arrivingMutes = new MuteRules()
  #connections = 0
  #subscriptions = 0
  /** What updates the frames told of, newer ones that stood for older ones included, since which seq. */
  readonly #told = { sinceSeq: 0, updates: 0 }
  /** It sees everything, has never been away, and never wanted anything else. */
  #isUnfiltered: boolean
  #hadEachInBox = false
  #place: Place | undefined
  #session: Session | undefined
  #line: Line | undefined

  constructor(protocol: Protocol, wishes: Wishes, world: World) {
    this.protocol = protocol
    this.#world = world
    this.#isUnfiltered = protocol === 'v2' && Object.keys(wishes).length === 0
    this.#addPicture(protocol === 'plain' ? { kinds: [...plainKinds] } : wishes)
  }

  get isConnected(): boolean {
    return this.#line !== undefined
  }
  get place(): Place | undefined {
    return this.#place
  }
  isMuted(update: Update): boolean {
    return isMuted(this.#mutes, update)
  }

  /* ── what it does ──────────────────────────────────────────────────────────────────────────────────────────────── */

  /** Comes (back) to a hub; what was on its way is lost. */
  connect(place: Place): void {
    this.disconnect()
    const connection = ++this.#connections
    const line = new Line(
      {
        onSend: () => ({ atMs: this.#world.nowMs, readTo: place.readTo }),
        onText: (text, sent) => this.#hear(text, sent),
        onPing: () => place.hub.hearPong(session),
        onClose: () => this.disconnect(),
      },
      maxBufferedBytes,
    )
    this.#arrivingMutes = new MuteRules(this.#mutes)
    this.#place = place
    this.#line = line
    const session = (this.#session = place.hub.open(line, this.protocol, true))
    // Whose mutes it has to obey, a hub may learn before or after it is asked for something.
    const isMutedFirst = connection % 2 === 0
    if (isMutedFirst) place.hub.setMutes(session, new MuteRules(this.#mutes))
    for (const picture of this.pictures.values()) this.#subscribe(picture)
    if (!isMutedFirst) place.hub.setMutes(session, new MuteRules(this.#mutes))
  }

  /** The hub is told, or it is gone. */
  disconnect(): void {
    const [line, session, place] = [this.#line, this.#session, this.#place]
    if (!line || !session) return
    this.#line = this.#session = this.#place = undefined
    this.#isUnfiltered = false
    line.break()
    place?.hub.hearClose(session, 1006)
    for (const [id, { isEnding }] of this.pictures) if (isEnding) this.pictures.delete(id)
  }

  stall(how: Stall): void {
    this.#line?.stall(how)
  }

  goOn(): void {
    this.#line?.goOn()
    if (this.#session) this.#place?.hub.hearDrain(this.#session)
  }

  /** Subscribes a second time, or takes that back. */
  toggleSecond(wishes: Wishes): void {
    if (!this.#session || this.protocol === 'plain') return
    this.#isUnfiltered = false
    const second = [...this.pictures.values()].find(({ id, isEnding }) => id !== '1' && !isEnding)
    if (!second) return this.#subscribe(this.#addPicture(wishes))
    second.asked.push(undefined)
    this.#place?.hub.unsubscribe(this.#session, second.id)
  }

  /** Other wishes for the first or the second subscription. */
  update(changes: Wishes, ofSecond: boolean): void {
    const picture = [...this.pictures.values()].find(({ id, isEnding }) => (id !== '1') === ofSecond && !isEnding)
    if (!this.#session || this.protocol === 'plain' || !picture) return
    this.#isUnfiltered = false
    picture.ask(changed(picture.wanted, changes))
    this.#noteWishes(picture.wanted)
    this.#place?.hub.update(this.#session, { type: 'update', id: picture.id, ...changes })
  }

  /** By REST, so also while it is away. */
  mute(rule: MuteRule): void {
    this.#isUnfiltered = false
    const mutes = new MuteRules(this.#mutes)
    mutes.apply(rule)
    this.#mutes = mutes
    for (const { owed } of this.pictures.values())
      for (const fact of owed) if (this.isMuted(fact.update)) owed.delete(fact)
    this.#line?.after(() => {
      this.#arrivingMutes = mutes
      for (const picture of this.pictures.values()) {
        picture.forgive(1)
        picture.forgetPace()
      }
    })
    if (this.#session) this.#place?.hub.setMutes(this.#session, new MuteRules(mutes))
  }

  #noteWishes({ every, bbox }: Wishes): void {
    if (every && bbox) this.#hadEachInBox = true
  }

  #addPicture(wishes: Wishes): Picture {
    const picture = new Picture(String(++this.#subscriptions), wishes)
    this.#noteWishes(wishes)
    this.pictures.set(picture.id, picture)
    return picture
  }

  #subscribe(picture: Picture): void {
    if (!picture.isResumable) picture.beginAsWanted(this.#connections)
    picture.forgetPace()
    const { id, cursor, wanted } = picture
    // What a mute hid, the hub sends again with everything around it.
    if (cursor !== undefined && isPartial(cursor)) picture.forgive(this.pictures.size)
    if (this.protocol === 'plain') return
    picture.asked = [wanted]
    this.#place!.hub.subscribe(this.#session!, {
      type: 'subscribe',
      id,
      ...wanted,
      ...(cursor !== undefined && { cursor }),
    })
  }

  /* ── what it is told ───────────────────────────────────────────────────────────────────────────────────────────── */

  /** A fact came into the log: whoever wants it must get it, unless told that it is missed. */
  expect(fact: Fact): void {
    for (const picture of this.pictures.values()) picture.expect(fact, this.isMuted(fact.update))
  }

  /** Its hub begins anew at once, whatever was sent just before. */
  forgetPace(): void {
    this.#line?.after(() => {
      for (const picture of this.pictures.values()) picture.forgetPace()
    })
  }

  /** The log began anew; a client without sub-protocol is not told. */
  hearNewEpoch(): void {
    if (this.protocol !== 'plain') return
    this.#line?.after(() => {
      for (const picture of this.pictures.values()) picture.begin(this.#connections)
    })
    for (const { owed } of this.pictures.values()) owed.clear()
  }

  #hear(text: string, sent: Sent): void {
    assert.ok(Buffer.byteLength(text) <= maxFrameBytes, `a frame of ${Buffer.byteLength(text)} bytes`)
    const isPlain = this.protocol === 'plain'
    // As it came: a schema puts the fields into its own order.
    const message = JSON.parse(text) as ServerMessage
    ;(isPlain ? plainFrameSchema : serverMessageSchema).parse(message)
    if (isPlain) return this.#learnChanges(message as Message<'updates'>, sent)
    switch (message.type) {
      case 'ack':
        this.#hearAck(message)
        break
      case 'snapshot':
        this.#hearSnapshot(message)
        break
      case 'updates':
        this.#learnChanges(message, sent)
        break
      case 'leave':
        this.pictures.get(message.id)?.leave(message.vehicles)
        break
      case 'gap':
        this.#hearGap(message, sent)
        break
      case 'error':
        throw new Error(`refused: ${message.message}`)
      case 'hello':
      case 'feed':
      case 'stats':
      case 'pong':
      case 'bye':
        break
    }
    // Not that of a gap: who comes back is told of it again.
    if (message.type === 'updates' || message.type === 'leave' || message.type === 'snapshot')
      this.#keepCursor(message.cursor)
  }

  #keepCursor(cursor: string): void {
    for (const picture of this.pictures.values()) picture.keepCursor(cursor)
  }

  #hearAck({ id }: Message<'ack'>): void {
    const picture = this.pictures.get(id)
    assert.ok(picture && picture.asked.length > 0, `an answer that nobody asked for: ${id}`)
    if (!picture.understood()) this.pictures.delete(id)
    // Another rate of one may change the course of all.
    for (const each of this.pictures.values()) each.forgetPace()
  }

  #hearSnapshot({ id, part, reason, more, updates, cursor }: Message<'snapshot'>): void {
    const picture = this.pictures.get(id)
    assert.ok(picture, `a snapshot that nobody asked for: ${id}`)
    if (reason === 'epoch' || reason === 'cursor_unknown') {
      if (part === 0) picture.begin(this.#connections)
      // Where that leads back, it is no place for the others to go on from; they may begin anew, too, in a moment.
      for (const other of this.pictures.values()) if (other.isAhead(cursor)) other.loseCursor()
    }
    if (reason === 'subscribed') this.#told.sinceSeq = parseResumeCursor(cursor)!.seq
    const facts = updates.map((update) => this.#check(update))
    picture.show({ facts, reason, isReplacing: part === 0 && reason !== 'entered', isWhole: !more })
  }

  #hearGap({ kind, since }: Message<'gap'>, { readTo }: Sent): void {
    // A box may lose readings that were on their way when it had to be taken anew.
    const mayBe = this.#world.mayHaveGaps || (kind === 'sensordata' && this.#hadEachInBox)
    assert.ok(mayBe, `a gap: ${kind}, and nothing was forgotten`)
    for (const { owed } of this.pictures.values())
      for (const fact of owed)
        if (fact.update.update_type === kind && fact.number <= readTo && (since === null || fact.eventTs >= since))
          owed.delete(fact)
  }

  #learnChanges({ updates, conflated = 0 }: Message<'updates'>, { atMs }: Sent): void {
    this.#told.updates += updates.length + conflated
    const keys = new Set<string>()
    for (const update of updates) {
      const fact = this.#check(update)
      if (updateClass[update.update_type] === 'event') {
        this.#learnEvent(fact)
        continue
      }
      const takers = fact.isLate ? this.#chartersOf(fact) : this.#takersOf(fact)
      assert.ok(takers.length > 0, `not asked for: ${nameOf(fact)}`)
      const isNews = takers.map((picture) =>
        fact.isLate ? picture.learnLate(fact) : picture.learn(fact, this.#hasSeveralRates),
      )
      if (!this.#hasSeveralRates) takers[0]!.flushedAt(atMs)
      assert.ok(isNews.includes(true), `came twice: ${nameOf(fact)}`)
      const isEach = update.update_type === 'sensordata' && this.#wantsEach
      assert.ok(isEach || !keys.has(keyOf(update)), `two of a key in one frame: ${nameOf(fact)}`)
      keys.add(keyOf(update))
    }
  }

  get #wantsEach(): boolean {
    return [...this.pictures.values()].some(({ wishes }) => wishes.every)
  }

  /** A client without sub-protocol asks for nothing. */
  get #answered(): Picture[] {
    return [...this.pictures.values()].filter(({ isAnswered }) => isAnswered || this.protocol === 'plain')
  }

  /** Then what several subscriptions see comes with each of them. */
  get #hasSeveralRates(): boolean {
    return new Set([...this.pictures.values()].map(({ maxRateHz }) => maxRateHz)).size > 1
  }

  #check(update: Update): Fact {
    const fact = this.#world.factOf(update)
    assert.ok(!isMuted(this.#arrivingMutes, update), `muted: ${nameOf(fact)}`)
    return fact
  }

  #learnEvent(fact: Fact): void {
    const { update, place } = fact
    const takers = this.#answered.filter(({ wishes }) => wants(wishes, update) && wantsThere(wishes, place))
    assert.ok(takers.length > 0, `not asked for: ${nameOf(fact)}`)
    const cameOn = this.#anomalies.get(fact)
    const isForgotten = cameOn !== undefined && takers.every(({ beganOn }) => beganOn > cameOn)
    assert.ok(cameOn === undefined || isForgotten, `came twice: ${nameOf(fact)}`)
    this.#anomalies.set(fact, this.#connections)
    for (const { owed } of this.pictures.values()) owed.delete(fact)
  }

  /** Who wants each reading. */
  #chartersOf({ update }: Fact): Picture[] {
    return this.#answered.filter(({ wishes }) => wishes.every && wants(wishes, update))
  }

  /**
   * Updates come once, whichever subscriptions they are for. A vehicle comes into a box by a snapshot, so what a box does
   * not show yet is for another subscription, if there is one. Only of a box that shows no positions it may be the first thing
   * that there is to show, and that can't be told apart.
   */
  #takersOf(fact: Fact): Picture[] {
    const { update } = fact
    const wanting = this.#answered.filter(({ wishes }) => wants(wishes, update))
    const showing = wanting.filter((picture) => picture.takes(fact))
    const doubtful = wanting.filter(
      (picture) => !showing.includes(picture) && !this.#seesPositions(picture.wishes, update.vehicle_id),
    )
    if (wanting.length > 1) for (const picture of doubtful) picture.isVague = true
    return showing.length > 0 ? showing : doubtful
  }

  #seesPositions(wishes: Wishes, vehicle: string): boolean {
    const position = { update_type: 'position', vehicle_id: vehicle } as Update
    return wants(wishes, position) && !isMuted(this.#arrivingMutes, position)
  }

  /* ── in the end ────────────────────────────────────────────────────────────────────────────────────────────────── */

  /** @param facts what one of its subscriptions has to show, of everything that is not muted */
  checkPicture(picture: Picture, facts: readonly Fact[]): void {
    const expected = new Map(facts.map((fact) => [keyOf(fact.update), fact]))
    const told = `subscription ${picture.id}, ${JSON.stringify(picture.wishes)}`
    for (const [key, fact] of expected) {
      const known = picture.state.get(key)?.fact
      const { update } = fact
      // A client without sub-protocol gets no snapshot: it knows what came since.
      if (this.isMuted(update) || (!known && this.protocol === 'plain')) continue
      if (!known && picture.isVague) continue
      assert.ok(known === fact, `${told} shows ${known && nameOf(known)} instead of ${nameOf(fact)}`)
    }
    for (const { fact } of picture.state.values())
      assert.ok(
        expected.has(keyOf(fact.update)) || this.isMuted(fact.update) || picture.isVague,
        `${told} still shows ${nameOf(fact)}`,
      )
  }

  /** @param entries of a log that forgot nothing */
  checkCounts(entries: readonly Fact[]): void {
    const appended = entries.slice(this.#told.sinceSeq).filter(({ isLate }) => !isLate).length
    if (this.#isUnfiltered) assert.equal(this.#told.updates, appended, 'delivered + conflated = appended')
  }
}

const isMuted = (mutes: MuteRules, update: Update): boolean =>
  update.update_type !== 'anomaly' && mutes.isMuted(update.update_type, update.vehicle_id, sensorOf(update))

/** Something may have been hidden from who has it. */
const isPartial = (text: string): boolean => {
  const cursor = parseResumeCursor(text)
  return cursor !== undefined && cursor.stateTo < cursor.seq
}
