import { updateSchema } from '@flasktoria/contracts/updates'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { formatCursor, parseCursor } from './cursor.ts'
import {
  mergeKey,
  type Draft,
  type Entry,
  type LogFollower,
  type LogListener,
  type LogReader,
  type LogWriter,
  type Snapshot,
} from './log.ts'

type Log = LogWriter & LogReader

/** Two handles on one log, as two processes would have them. */
export type LogPair = { first: Log; second: Log }

/** What a reader of the log was told, and the picture that it adds up to. */
export class Picture implements LogListener {
  readonly snapshots: Snapshot[] = []
  entries: Entry[] = []
  state = new Map<string, Entry>()
  head = 0
  readonly connected: boolean[] = []

  onSnapshot(snapshot: Snapshot): void {
    this.snapshots.push(snapshot)
    this.entries = [...snapshot.recent]
    this.state = new Map(snapshot.state.map((entry) => [mergeKey(entry), entry]))
    this.head = snapshot.head
  }
  onEntries(entries: readonly Entry[]): void {
    for (const entry of entries) {
      // A reader never gets a hole, whatever happened in between.
      if (entry.seq !== this.head + 1) throw new Error(`seq ${entry.seq} after ${this.head}`)
      this.head = entry.seq
      this.entries.push(entry)
      if (!entry.isLate && entry.kind !== 'anomaly') this.state.set(mergeKey(entry), entry)
    }
  }
  onConnected(isConnected: boolean): void {
    this.connected.push(isConnected)
  }
  get values(): string[] {
    return this.entries.map(({ json }) => json)
  }
}

export const until = (isSo: () => boolean, what = 'it') =>
  expect.poll(isSo, { timeout: 15_000, interval: 10, message: what }).toBe(true)

export const reading = (eventTs: number, json = `{"at":${eventTs}}`, more: Partial<Draft> = {}): Draft => ({
  kind: 'sensordata',
  vehicle: 'v',
  sensor: 's',
  eventTs,
  json,
  ...more,
})
export const vehicleStatus = (value: string, vehicle = 'v'): Draft => ({
  kind: 'vehiclestatus',
  vehicle,
  sensor: '',
  eventTs: 0,
  json: JSON.stringify({ update_type: 'vehiclestatus', vehicle_id: vehicle, value }),
})
export const anomaly = (id: string): Draft => ({
  kind: 'anomaly',
  vehicle: 'v',
  sensor: '',
  eventTs: 1,
  json: `"${id}"`,
  id,
})

/** What every live log promises. `open` gives a fresh, empty log. */
export function logConformance(open: () => Promise<LogPair>): void {
  describe('a live log', () => {
    let log: LogPair
    let followers: LogFollower[]
    beforeEach(async () => {
      log = await open()
      followers = []
    })
    afterEach(async () => {
      await Promise.all(followers.map((follower) => follower.close()))
      await log.first.close()
      if (log.second !== log.first) await log.second.close()
    })
    const follow = async (on: Log = log.second): Promise<Picture> => {
      const picture = new Picture()
      followers.push(await on.follow(picture))
      return picture
    }

    test('gives an empty snapshot with an epoch before anything was appended', async () => {
      const { snapshots } = await follow()
      expect(snapshots).toEqual([
        { epoch: expect.stringMatching(/^[0-9a-z]{1,32}$/), head: 0, state: [], recent: [], reason: 'start' },
      ])
    })

    test('delivers what is appended in order, with consecutive seqs', async () => {
      const picture = await follow()
      await log.first.append([reading(1), reading(2)])
      await log.first.append([anomaly('a'), reading(3)])
      await until(() => picture.head === 4)
      expect(
        picture.entries.map(({ seq, kind, vehicle, sensor, eventTs }) => [seq, kind, vehicle, sensor, eventTs]),
      ).toEqual([
        [1, 'sensordata', 'v', 's', 1],
        [2, 'sensordata', 'v', 's', 2],
        [3, 'anomaly', 'v', '', 1],
        [4, 'sensordata', 'v', 's', 3],
      ])
    })

    test('a reader that comes later has the state and what is still remembered', async () => {
      await log.first.append([reading(1), reading(2), anomaly('a'), reading(1, 'p', { kind: 'position', sensor: '' })])
      const { snapshots } = await follow()
      expect(snapshots[0]?.head).toBe(4)
      expect(snapshots[0]?.state.map(({ seq, kind, json }) => [seq, kind, json])).toEqual([
        [2, 'sensordata', '{"at":2}'],
        [4, 'position', 'p'],
      ])
      expect(snapshots[0]?.recent.map(({ seq }) => seq)).toEqual([1, 2, 3, 4])
    })

    test('a reader that wants no more than the end has the state, and of the sequence the newest', async () => {
      for (let at = 1; at <= 10; at++)
        await log.first.append([reading(at), reading(at, `${at}`, { vehicle: `v${at}` })])
      const picture = new Picture()
      followers.push(await log.second.follow(picture, { maxRecent: 4 }))
      const [{ head, state, recent }] = picture.snapshots as [Snapshot]
      expect({ head, keys: state.length }).toEqual({ head: 20, keys: 11 })
      expect(recent.map(({ seq }) => seq)).toEqual([17, 18, 19, 20])
      await log.first.append([reading(11)])
      await until(() => picture.head === 21)
    })

    test('readers that start at any moment of a stream of appends see the same', async () => {
      const appended = (async () => {
        for (let at = 1; at <= 200; at++)
          await log.first.append([reading(at), reading(at, `${at}`, { vehicle: `v${at % 7}` })])
      })()
      const pictures: Picture[] = []
      for (let reader = 0; reader < 5; reader++) pictures.push(await follow(reader % 2 === 0 ? log.first : log.second))
      await appended
      await until(() => pictures.every(({ head }) => head === 400))
      for (const picture of pictures) {
        expect(picture.entries).toEqual(pictures[0]!.entries)
        expect(picture.state).toEqual(pictures[0]!.state)
      }
    })

    test('the state is the latest by event time, and of two at the same time the later appended', async () => {
      const picture = await follow()
      await log.first.append([reading(5, 'old'), reading(5, 'new'), reading(3, 'late')])
      await until(() => picture.head === 3)
      expect(picture.state.get('sensordata\tv\ts')?.json).toBe('new')
      expect((await follow()).state.get('sensordata\tv\ts')?.json).toBe('new')
    })

    test('a late reading has its place in the log and is marked; a late position has none', async () => {
      const picture = await follow()
      const position = (eventTs: number) => reading(eventTs, `p${eventTs}`, { kind: 'position', sensor: '' })
      const appended = await log.first.append([reading(5), reading(4), position(5), position(4), reading(6)])
      await until(() => picture.head === 4)
      expect(appended).toEqual({ entries: 4, late: 2, duplicates: 0 })
      expect(picture.entries.map(({ json, isLate }) => [json, isLate])).toEqual([
        ['{"at":5}', false],
        ['{"at":4}', true],
        ['p5', false],
        ['{"at":6}', false],
      ])
    })

    test('lateness holds between batches and writers', async () => {
      await log.first.append([reading(5)])
      expect(await log.second.append([reading(4)])).toEqual({ entries: 1, late: 1, duplicates: 0 })
    })

    test('an event is appended once per id, whoever appends it and how often', async () => {
      const picture = await follow()
      expect(await log.first.append([anomaly('a'), anomaly('a'), anomaly('b')])).toMatchObject({
        entries: 2,
        duplicates: 1,
      })
      expect(await log.second.append([anomaly('a'), anomaly('c')])).toMatchObject({ entries: 1, duplicates: 1 })
      await until(() => picture.head === 3)
      expect(picture.values).toEqual(['"a"', '"b"', '"c"'])
    })

    test('every entry carries when the log took it: live, remembered, and in the state', async () => {
      const live = await follow()
      const before = Date.now()
      await log.first.append([reading(1, 'r', { statusJson: 'ok' }), anomaly('a')])
      await until(() => live.head === 3)
      const [first] = live.entries
      expect(first!.appendedAt).toBeGreaterThanOrEqual(before)
      expect(first!.appendedAt).toBeLessThanOrEqual(Date.now())
      expect(live.entries.map(({ appendedAt }) => appendedAt)).toEqual(live.entries.map(() => first!.appendedAt))

      await log.second.append([reading(0, 'late')])
      await until(() => live.head === 4)
      expect(live.entries[3]!.appendedAt).toBeGreaterThanOrEqual(first!.appendedAt)
      const later = (await follow(log.first)).snapshots[0]!
      expect(later.recent).toEqual(live.entries)
      expect(later.state).toEqual(live.entries.slice(0, 2))
    })

    test('a status follows the newest reading, and only when it differs from the last one', async () => {
      const picture = await follow()
      const withStatus = (eventTs: number, statusJson: string) => reading(eventTs, `${eventTs}`, { statusJson })
      await log.first.append([withStatus(1, 'ok'), withStatus(2, 'ok'), withStatus(3, 'low')])
      await log.second.append([withStatus(4, 'low'), withStatus(2, 'high'), withStatus(5, 'ok')])
      await until(() => picture.values.at(-1) === 'ok')
      expect(picture.entries.map(({ kind, json, isLate }) => [kind, json, isLate])).toEqual([
        ['sensordata', '1', false],
        ['sensorstatus', 'ok', false],
        ['sensordata', '2', false],
        ['sensordata', '3', false],
        ['sensorstatus', 'low', false],
        ['sensordata', '4', false],
        ['sensordata', '2', true],
        ['sensordata', '5', false],
        ['sensorstatus', 'ok', false],
      ])
      expect((await follow()).state.get('sensorstatus\tv\ts')).toMatchObject({ json: 'ok', eventTs: 5 })
    })

    test('a status stays while a reading is too near its limit to end it, whoever says so', async () => {
      const picture = await follow()
      const near = (eventTs: number) => reading(eventTs, `${eventTs}`, { statusJson: 'ok', heldStatusJson: 'low' })
      await log.first.append([near(1), reading(2, '2', { statusJson: 'low' }), near(3)])
      await log.second.append([near(4), reading(5, '5', { statusJson: 'ok' }), near(6)])
      await until(() => picture.values.at(-1) === '6')
      const statuses = picture.entries.filter(({ kind }) => kind === 'sensorstatus')
      expect(statuses.map(({ json, eventTs }) => [json, eventTs])).toEqual([
        ['ok', 1],
        ['low', 2],
        ['ok', 5],
      ])
    })

    test('a status of a vehicle is stamped by the log, and appended when it says something new, whoever says it', async () => {
      const picture = await follow()
      const before = Date.now()
      expect(await log.first.append([vehicleStatus('online'), vehicleStatus('online')])).toMatchObject({
        entries: 1,
        duplicates: 1,
      })
      expect(await log.second.append([vehicleStatus('online')])).toMatchObject({ entries: 0, duplicates: 1 })
      expect(await log.second.append([vehicleStatus('stale'), vehicleStatus('online', 'w')])).toMatchObject({
        entries: 2,
      })
      expect(await log.first.append([vehicleStatus('online')])).toMatchObject({ entries: 1 })
      await until(() => picture.head === 4)
      const said = picture.entries.map(({ vehicle, json, eventTs, appendedAt }) => {
        expect([appendedAt, appendedAt >= before]).toEqual([eventTs, true])
        expect(updateSchema.parse(JSON.parse(json))).toMatchObject({ vehicle_id: vehicle, timestamp: eventTs })
        return [vehicle, JSON.parse(json).value]
      })
      expect(said).toEqual([
        ['v', 'online'],
        ['v', 'stale'],
        ['w', 'online'],
        ['v', 'online'],
      ])
      const { state } = (await follow()).snapshots[0]!
      expect(state).toEqual(picture.entries.slice(2))
    })

    test('a batch of any size arrives whole and in order', async () => {
      const picture = await follow()
      const drafts = Array.from({ length: 3_000 }, (_, at) =>
        reading(at, JSON.stringify({ at, pad: 'x'.repeat(at % 300) })),
      )
      expect(await log.first.append(drafts)).toMatchObject({ entries: 3_000 })
      await until(() => picture.head === 3_000)
      expect(picture.values).toEqual(drafts.map(({ json }) => json))
    })

    test('batches of several writers at once do not mix', async () => {
      const picture = await follow()
      const batch = (writer: string) =>
        Array.from({ length: 20 }, (_, index) => reading(1, `${writer}${index}`, { vehicle: writer }))
      await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          (index % 2 === 0 ? log.first : log.second).append(batch(`w${index}-`)),
        ),
      )
      await until(() => picture.head === 400)
      for (let start = 0; start < 400; start += 20)
        expect(new Set(picture.entries.slice(start, start + 20).map(({ vehicle }) => vehicle)).size).toBe(1)
    })

    test('whatever text an id or an update holds comes out as it went in', async () => {
      const picture = await follow()
      const draft = reading(1, JSON.stringify({ text: 'tab\t line\n "quote" \\ é 🚚 \u2028' }), {
        vehicle: "O'Neil 🚚 %s",
        sensor: '__proto__',
      })
      await log.first.append([draft])
      await until(() => picture.head === 1)
      const { id: _id, statusJson: _statusJson, ...fields } = draft
      expect(picture.entries).toEqual([{ ...fields, seq: 1, appendedAt: expect.any(Number), isLate: false }])
    })

    test('nothing is appended by an empty batch', async () => {
      expect(await log.first.append([])).toEqual({ entries: 0, late: 0, duplicates: 0 })
    })

    test('every place in the log is a cursor that text can carry', async () => {
      await log.first.append([reading(1), reading(2)])
      const { epoch, head: seq } = (await follow()).snapshots[0]!
      expect(parseCursor(formatCursor({ epoch, seq }))).toEqual({ epoch, seq: 2 })
    })

    test('readers end with the log that they read', async () => {
      const picture = await follow()
      await log.second.close()
      await log.first.append([reading(1)])
      const other = await follow(log.first)
      expect([picture.head, other.head]).toEqual([0, 1])
    })

    test('a reader that was closed hears nothing more', async () => {
      const picture = await follow()
      const other = await follow()
      await followers[0]!.close()
      await log.first.append([reading(1)])
      await until(() => other.head === 1)
      expect(picture.head).toBe(0)
    })
  })
}
