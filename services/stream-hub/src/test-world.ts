import type { Update, VehiclestatusUpdate } from '@flasktoria/contracts/updates'
import type { Snapshot } from '@flasktoria/live-log/log'
import assert from 'node:assert/strict'
import { anomalyUpdate, createTestHub } from './test-hub.ts'
import { Application, type Place } from './test-application.ts'
import type { Stall } from './test-line.ts'
import { TestLog, type Way } from './test-log.ts'
import { keyOf, nameOf, ReferenceModel, sensorOf, type Fact, type Wishes } from './test-reference-model.ts'

export type Bounds = { ringLength: number; maxEvents: number; maxRecent: number }

/** One thing that happens: its name, and with what. */
export type Deed = { [Name in keyof Deeds]: [Name, ...Parameters<Deeds[Name]>] }[keyof Deeds]
export type Deeds = Pick<
  World,
  | 'move'
  | 'measure'
  | 'state'
  | 'report'
  | 'turn'
  | 'pass'
  | 'sweep'
  | 'hold'
  | 'deliver'
  | 'breakOff'
  | 'failOver'
  | 'kill'
  | 'connect'
  | 'disconnect'
  | 'stall'
  | 'goOn'
  | 'second'
  | 'update'
  | 'mute'
>
/** `isQuiet`: nothing is forgotten, so nobody may be told of a gap. */
export type Plan = { isQuiet: boolean; bounds: Bounds; hubs: number; first: readonly Wishes[]; deeds: readonly Deed[] }

/** The log itself says since when a vehicle has its status. */
type Said = Exclude<Update, VehiclestatusUpdate> | Omit<VehiclestatusUpdate, 'timestamp'>

/** A hub, and the way on which the log comes to it. */
type Station = Place & ReturnType<typeof createTestHub> & { readTo: number; way: Way }

/** A log, hubs that follow it, and applications that come and go: everything that can happen to them, and what must not. */
class World {
  readonly #model = new ReferenceModel()
  readonly #log: TestLog
  readonly #bounds: Bounds
  readonly #isQuiet: boolean
  readonly #stations: Station[] = []
  readonly #applications: Application[]
  readonly #facts = new Map<string, Fact>()
  /** What the log took: of what comes late, it takes readings only. */
  readonly #entries: Fact[] = []
  /** Anomalies of which a hub can't know where their vehicle was. */
  readonly #unplaced = new Set<Fact>()
  #numbers = 0
  #plainGaps = 0
  mayHaveGaps: boolean
  nowMs = 1_000

  constructor({ isQuiet, bounds, first }: Plan) {
    this.#bounds = bounds
    this.#log = new TestLog(bounds.maxRecent)
    this.#isQuiet = isQuiet
    this.mayHaveGaps = !isQuiet
    this.#applications = [new Application('plain', {}, this), ...first.map((each) => new Application('v2', each, this))]
  }

  async live({ hubs, deeds }: Plan): Promise<void> {
    for (let at = 0; at < hubs; at++) this.#stations.push(await this.#createStation())
    for (const [index, application] of this.#applications.entries()) application.connect(this.#station(index))
    for (const [name, ...args] of deeds) await (this[name] as (...some: unknown[]) => unknown)(...args)
    this.#settle()
    await this.#check()
  }

  factOf = (update: Update): Fact => {
    const fact = this.#facts.get(JSON.stringify(update))
    assert.ok(fact, `nobody said ${keyOf(update)}`)
    return fact
  }

  /* ── what is said about vehicles ───────────────────────────────────────────────────────────────────────────────── */

  move(vehicle: string, [lat, long]: readonly [number, number], age: number) {
    return this.#append(age, (timestamp) => ({ update_type: 'position', vehicle_id: vehicle, lat, long, timestamp }))
  }

  /** `isLong`: two of these fill a frame. */
  measure(vehicle: string, sensor: string, age: number, isLong: boolean) {
    return this.#append(age, (timestamp, number) => ({
      update_type: 'sensordata',
      vehicle_id: vehicle,
      sensor_id: sensor,
      values: [],
      value: `${number}${isLong ? '.'.repeat(25_000) : ''}`,
      timestamp,
    }))
  }

  state(kind: 'sensorstatus' | 'vehiclestatus', vehicle: string, sensor: string) {
    return this.#append(0, (_, number) =>
      kind === 'sensorstatus'
        ? { update_type: kind, vehicle_id: vehicle, sensor_id: sensor, value: String(number) }
        : { update_type: kind, vehicle_id: vehicle, value: 'stale' },
    )
  }

  report(vehicle: string) {
    return this.#append(0, (timestamp, number) => anomalyUpdate(vehicle, String(number), timestamp))
  }

  async #append(age: number, make: (eventTs: number, number: number) => Said): Promise<void> {
    const number = ++this.#numbers
    const eventTs = number * 10 - age
    // With its number, no two are alike.
    const said = { ...make(eventTs, number), number }
    const isStamped = said.update_type === 'vehiclestatus'
    const update: Update = isStamped ? { ...said, timestamp: eventTs } : said
    const fact = this.#model.say(update, eventTs)
    this.#facts.set(JSON.stringify(update), fact)
    if (!fact.isLate || update.update_type === 'sensordata') this.#entries.push(fact)
    for (const application of this.#applications) application.expect(fact)
    await this.#log.append({
      kind: update.update_type,
      vehicle: update.vehicle_id,
      sensor: sensorOf(update),
      eventTs,
      json: JSON.stringify(said),
      ...(update.update_type === 'anomaly' && { id: String(number) }),
    })
  }

  /* ── what happens to hubs and their ways ───────────────────────────────────────────────────────────────────────── */

  turn(at: number): void {
    const { hub } = this.#station(at)
    while (hub.flushDue() <= 0) continue
    hub.catchUp(Infinity)
  }

  pass(ms: number): void {
    // A cursor that is ahead of a slow hub for long is taken for none.
    if (this.#stations.some(({ way }) => way.isHeld)) this.mayHaveGaps = true
    const stepMs = ms > 10_000 ? 500 : 20
    for (const end = this.nowMs + ms; this.nowMs < end;) {
      const isNewSecond = this.nowMs % 1_000 >= 1_000 - stepMs
      this.nowMs += stepMs
      for (const [at, { clock }] of this.#stations.entries()) {
        clock.nowMs = this.nowMs
        this.turn(at)
        if (isNewSecond) this.sweep(at)
      }
    }
  }

  sweep(at: number): void {
    this.#station(at).hub.sweep()
  }

  hold(at: number): void {
    this.#station(at).way.isHeld = true
  }

  /** The next ones that were held back; `all`: and no more are. */
  deliver(at: number, count: number): void {
    const { way } = this.#station(at)
    way.deliver(count || Infinity)
    if (!count) way.isHeld = false
  }

  async breakOff(at: number): Promise<void> {
    this.mayHaveGaps = true
    await this.#station(at).way.breakOff()
  }

  async failOver(lost: number): Promise<void> {
    this.mayHaveGaps = true
    this.#model.forgetLast(lost)
    await this.#log.failOver(lost)
  }

  /** The process is gone; another one begins at its place. */
  async kill(at: number): Promise<void> {
    const killed = this.#station(at)
    for (const application of this.#applications) if (application.place === killed) application.disconnect()
    await this.#log.end(killed.way)
    this.#plainGaps += await plainGapsOf(killed)
    this.#stations[this.#stations.indexOf(killed)] = await this.#createStation()
  }

  /* ── what applications do ──────────────────────────────────────────────────────────────────────────────────────── */

  connect(who: number, at: number): void {
    this.#application(who).connect(this.#station(at))
  }
  disconnect(who: number): void {
    this.#application(who).disconnect()
  }
  stall(who: number, how: Stall): void {
    this.#application(who).stall(how)
  }
  goOn(who: number): void {
    this.#application(who).goOn()
  }
  second(who: number, wish: Wishes): void {
    this.#application(who).toggleSecond(wish)
  }
  update(who: number, ofSecond: boolean, change: Wishes): void {
    this.#application(who).update(change, ofSecond)
  }
  mute(who: number, kind: 'position' | 'sensordata' | 'sensorstatus', vehicle: string, isMuted: boolean): void {
    this.#application(who).mute({ kind, vehicle, sensor: '', isMuted })
  }

  /* ── in the end ────────────────────────────────────────────────────────────────────────────────────────────────── */

  /** Everything works again, and nothing more is said. */
  #settle(): void {
    for (const at of this.#stations.keys()) this.deliver(at, 0)
    for (const [index, application] of this.#applications.entries()) {
      application.goOn()
      if (!application.isConnected) application.connect(this.#station(index))
    }
    this.pass(5_000)
  }

  async #check(): Promise<void> {
    for (const station of this.#stations) this.#plainGaps += await plainGapsOf(station)
    if (this.#isQuiet) for (const application of this.#applications) application.checkCounts(this.#entries)
    for (const application of this.#applications)
      for (const picture of application.pictures.values()) {
        application.checkPicture(picture, this.#model.picture(picture.wishes))
        // A client without sub-protocol can't be told of a gap, but somebody can read that there was one.
        if (application.protocol === 'plain' && this.#plainGaps > 0) continue
        for (const fact of picture.owed)
          if (!this.#unplaced.has(fact) || !picture.wishes.bbox)
            throw new Error(`subscription ${picture.id}, ${JSON.stringify(picture.wishes)} missed ${nameOf(fact)}`)
      }
  }

  #station = (at: number): Station => this.#stations[at % this.#stations.length]!
  #application = (who: number): Application => this.#applications[who % this.#applications.length]!

  async #createStation(): Promise<Station> {
    const { ringLength, maxEvents } = this.#bounds
    const parts = createTestHub({ ringLength, maxEvents })
    parts.clock.nowMs = this.nowMs
    const station: Partial<Station> & Omit<Station, 'way'> = { ...parts, readTo: 0 }
    let epoch: string | undefined
    station.way = await this.#log.lead(parts.hub, (delivery) => {
      if ('entries' in delivery) {
        station.readTo = this.#numberOf(delivery.entries.at(-1)!.json)
        return
      }
      const { snapshot } = delivery
      station.readTo = this.#numbers
      for (const application of this.#applications.filter(({ place }) => place === station)) {
        application.forgetPace()
        if (epoch !== snapshot.epoch) application.hearNewEpoch()
      }
      ;({ epoch } = snapshot)
      this.#forgetPlaces(snapshot)
    })
    return station as Station
  }

  #numberOf = (json: string): number => this.#facts.get(json)!.number

  /** Who reads the log's tail does not find positions that were replaced since, and older than the tail. */
  #forgetPlaces({ state, recent }: Snapshot): void {
    const placed = new Set(
      state.filter(({ kind, seq }) => kind === 'position' && seq < (recent[0]?.seq ?? 0)).map(({ vehicle }) => vehicle),
    )
    for (const { kind, vehicle, json } of recent)
      if (kind === 'position') placed.add(vehicle)
      else if (kind === 'anomaly' && !placed.has(vehicle)) this.#unplaced.add(this.#facts.get(json)!)
  }
}

async function plainGapsOf({ metrics }: Station): Promise<number> {
  const gaps = await metrics.registry.getSingleMetric('flasktoria_stream_gaps_total')!.get()
  return gaps.values.reduce((sum, { labels, value }) => sum + (labels['protocol'] === 'plain' ? value : 0), 0)
}

/** @throws when something came that must not, or does not come that must */
export const play = (plan: Plan): Promise<void> => new World(plan).live(plan)
