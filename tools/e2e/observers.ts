import { Fleet, type View } from '@flasktoria/client/fleet'
import { LiveSocket } from '@flasktoria/client/live-socket'
import type { Wishes } from '@flasktoria/client/wishes'
import { positionSensor } from '@flasktoria/contracts/records'
import { plainFrameSchema, type ServerMessage } from '@flasktoria/contracts/stream'
import { positionOf, readingKey, type Reading } from './readings.ts'

type Subscriptions = LiveSocket['subscriptions']
const everything: Subscriptions = new Map([['all', { wishes: {} }]])
const types = ['hello', 'ack', 'snapshot', 'updates', 'leave', 'gap', 'feed', 'stats', 'error', 'bye'] as const

/** A client that keeps the picture, and whatever was wrong with its way there. */
export class Observer {
  readonly fleet = new Fleet(100_000)
  /** An older value that came after a newer one of the same vehicle and sensor. */
  readonly regressions: string[] = []
  gaps = 0
  isOpen = false
  readonly #newest = new Map<string, number>()
  #live: LiveSocket | undefined
  readonly #closeSocket: () => void

  private constructor(connect: (observer: Observer) => () => void) {
    this.#closeSocket = connect(this)
  }

  /** Speaks flasktoria.v2 and resumes. */
  static v2(url: string, wishes: Wishes = {}, onMessage: (message: ServerMessage) => void = () => {}): Observer {
    return new Observer((observer) => {
      const receive = (message: ServerMessage) => {
        observer.#receive(message, socket.subscriptions)
        onMessage(message)
      }
      const socket = new LiveSocket({
        url,
        on: Object.fromEntries(types.map((type) => [type, receive])),
        onState: (state) => (observer.isOpen = state === 'open'),
      })
      socket.subscribe('all', wishes)
      observer.#live = socket
      return () => socket.close()
    })
  }

  /** An old front end: no sub-protocol, no snapshot; comes back by itself, and misses what was meanwhile. */
  static plain(url: string): Observer {
    return new Observer((observer) => {
      let isClosed = false
      let socket: WebSocket
      const connect = () => {
        socket = new WebSocket(url)
        socket.addEventListener('message', ({ data }) =>
          observer.#receive(
            { type: 'updates', cursor: '', ...plainFrameSchema.parse(JSON.parse(String(data))) },
            everything,
          ),
        )
        socket.addEventListener('open', () => (observer.isOpen = true))
        socket.addEventListener('close', () => {
          observer.isOpen = false
          if (!isClosed) setTimeout(connect, 200)
        })
      }
      connect()
      return () => {
        isClosed = true
        socket.close()
      }
    })
  }

  close(): void {
    this.#closeSocket()
  }

  get view(): View {
    return this.fleet.view('all')
  }

  /** Of a client with flasktoria.v2. */
  get live(): LiveSocket {
    if (!this.#live) throw new Error('a plain client has no subscriptions')
    return this.#live
  }

  /** The serials of the anomalies of a vehicle, in the order in which they came. */
  serials(vehicle: string): number[] {
    return this.fleet.anomalies
      .filter(({ vehicle_id }) => vehicle_id === vehicle)
      .map(({ detection_timestamp }) => Number(detection_timestamp.replace('serial ', '')))
  }

  /** What of these readings the picture does not show, the first few. */
  missing(last: ReadonlyMap<string, Reading>): string[] {
    const shows = ({ vehicle, sensor, text }: Reading) => {
      if (sensor !== positionSensor) return this.view.readings.get(vehicle)?.get(sensor)?.value === text
      const [lat, long] = positionOf(text)
      const position = this.view.positions.get(vehicle)
      return position?.lat === lat && position.long === long
    }
    return [...last.values()]
      .filter((reading) => !shows(reading))
      .slice(0, 5)
      .map((reading) => `${readingKey(reading)} is not ${reading.text}`)
  }

  #receive(message: ServerMessage, subscriptions: Subscriptions): void {
    this.fleet.receive(message, subscriptions)
    if (message.type === 'gap') this.gaps += 1
    for (const update of 'updates' in message ? message.updates : []) {
      if (update.update_type !== 'position' && update.update_type !== 'sensordata') continue
      const sensor = update.update_type === 'position' ? positionSensor : update.sensor_id
      const key = readingKey({ vehicle: update.vehicle_id, sensor })
      const newest = this.#newest.get(key) ?? update.timestamp
      if (update.timestamp < newest) this.regressions.push(`${key}: ${update.timestamp} after ${newest}`)
      this.#newest.set(key, Math.max(newest, update.timestamp))
    }
  }
}
