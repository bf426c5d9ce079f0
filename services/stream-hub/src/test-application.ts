import { serverMessageSchema, type ServerMessage, type Subscribe } from '@flasktoria/contracts/stream'
import type { Update } from '@flasktoria/contracts/updates'
import { MuteRules } from '@flasktoria/live-log/mutes'
import type { Hub } from './hub.ts'
import type { Session } from './session.ts'
import { createFilter, sees, type Filter } from './subscription.ts'
import { TestConnection } from './test-hub.ts'

export type Wish = Pick<Subscribe, 'kinds' | 'vehicles' | 'sensors'>

/** What a client knows by one of its subscriptions; plain clients have one that sees everything. */
type Picture = { filter: Filter; state: Map<string, Update> }

const seenOf = (update: Update) => ({
  kind: update.update_type,
  vehicle: update.vehicle_id,
  sensor: 'sensor_id' in update ? update.sensor_id : '',
})
const keyOf = (update: Update) => Object.values(seenOf(update)).join('\t')

/**
 * A client application as it should be: it keeps its cursor, comes back to any hub, and notices at once what no hub may do:
 * send what it did not ask for, an older value after a newer one, an anomaly twice.
 */
export class Application {
  readonly isPlain: boolean
  readonly #wish: Wish
  readonly pictures = new Map<string, Picture>()
  /** By description; each is unique. */
  readonly anomalies = new Map<string, Update>()
  mutes = new MuteRules()
  /** How many anomalies there were when one could have been missed last. */
  excusedAnomalies = 0
  #cursor: string | undefined
  #connection = new TestConnection()
  #session: Session | undefined
  #hub: Hub | undefined
  readonly #countAnomalies: () => number

  constructor(protocol: 'plain' | 'v2', wish: Wish, countAnomalies: () => number) {
    this.isPlain = protocol === 'plain'
    this.#wish = wish
    this.#countAnomalies = countAnomalies
  }

  /** Comes (back) to a hub; what was on its way is lost. */
  connect(hub: Hub): void {
    this.#connection.close(1006)
    if (this.#session) this.#hub?.hearClose(this.#session, 1006)
    this.pictures.delete('second')
    this.#hub = hub
    this.#connection = new TestConnection()
    this.#connection.onSend = (message) => this.#check(message)
    this.#connection.onArrival = (message) => this.#receive(message)
    // Without a cursor nobody can know what it had: another hub may be a little behind.
    if (this.isPlain || this.#cursor === undefined) {
      this.pictures.set('first', { filter: createFilter(this.#wish), state: new Map() })
      this.anomalies.clear()
      this.excusedAnomalies = this.#countAnomalies()
    }
    this.#session = hub.open(this.#connection, this.isPlain ? 'plain' : 'v2', true)
    hub.setMutes(this.#session, new MuteRules(this.mutes))
    const cursor = this.#cursor
    if (!this.isPlain)
      hub.subscribe(this.#session, {
        type: 'subscribe',
        id: 'first',
        ...this.#wish,
        ...(cursor !== undefined && { cursor }),
      })
  }

  stall(): void {
    this.#connection.stall()
  }

  goOn(): void {
    this.#connection.resume()
    this.#hub!.hearDrain(this.#session!)
  }

  toggleSecond(wish: Wish): void {
    if (this.isPlain) return
    if (this.pictures.delete('second')) return this.#hub!.unsubscribe(this.#session!, 'second')
    this.pictures.set('second', { filter: createFilter(wish), state: new Map() })
    this.#hub!.subscribe(this.#session!, { type: 'subscribe', id: 'second', ...wish })
  }

  mute(vehicle: string, isMuted: boolean): void {
    this.mutes.apply({ kind: 'position', vehicle, sensor: '', isMuted })
    this.#hub!.setMutes(this.#session!, new MuteRules(this.mutes))
  }

  isMuted(update: Update): boolean {
    const { kind, vehicle, sensor } = seenOf(update)
    return kind !== 'anomaly' && this.mutes.isMuted(kind, vehicle, sensor)
  }

  /** What each subscription knows of this key; absent where it does not look. */
  knows(update: Update): (Update | undefined)[] {
    return this.#lookers(update).map(({ state }) => state.get(keyOf(update)))
  }

  #lookers(update: Update): Picture[] {
    return [...this.pictures.values()].filter(({ filter }) => sees(filter, seenOf(update)))
  }

  /** When it is sent. */
  #check(message: ServerMessage): void {
    if (!this.isPlain) serverMessageSchema.parse(message)
    for (const update of 'updates' in message ? message.updates : [])
      if (this.#lookers(update).length === 0 || this.isMuted(update))
        throw new Error(`not asked for: ${JSON.stringify(update)}`)
  }

  /** When it arrives. */
  #receive(message: ServerMessage): void {
    if (message.type === 'gap') this.excusedAnomalies = this.#countAnomalies()
    if (message.type === 'snapshot') this.#replace(message)
    else if ('updates' in message) {
      for (const update of message.updates) this.#learn(update, this.#lookers(update))
      this.#cursor = message.cursor
    }
  }

  #replace({ id, part, updates, more, cursor }: Extract<ServerMessage, { type: 'snapshot' }>): void {
    const picture = this.pictures.get(id)
    if (!picture) return
    if (part === 0) {
      picture.state.clear()
      // What only this one sees may come again from a hub that is behind the last one.
      for (const [desc, update] of this.anomalies)
        if (this.#lookers(update).every((looker) => looker === picture)) this.anomalies.delete(desc)
    }
    for (const update of updates) this.#learn(update, [picture])
    if (id === 'first') this.#cursor = more ? undefined : cursor
  }

  #learn(update: Update, pictures: readonly Picture[]): void {
    if (update.update_type === 'anomaly') {
      if (this.anomalies.has(update.desc)) throw new Error(`came twice: ${update.desc}`)
      this.anomalies.set(update.desc, update)
      return
    }
    for (const { state } of pictures) {
      const known = state.get(keyOf(update))
      if (known && Number('timestamp' in known && known.timestamp) > Number('timestamp' in update && update.timestamp))
        throw new Error(`older after newer: ${JSON.stringify([known, update])}`)
      state.set(keyOf(update), update)
    }
  }
}
