import type { VehicleNames } from '@flasktoria/contracts/catalogue'
import type { Context } from 'hono'
import { crc32 } from 'node:zlib'
import { answerUnlessKnown, digestOf } from './conditional.ts'
import { gzipBeginning, type GzipBeginning } from './gzip-beginning.ts'
import { mapOf } from './live-answers.ts'
import { mapMs, type RecentWindow } from './recent-window.ts'
import type { RequestEnv } from './request-env.ts'

const gzipLevel = 4

/**
 * A large fleet changes faster than its map can be written: one serves for 20 µs a vehicle, so that writing it takes a small
 * part of the time however many ask. Below 50 vehicles it is always the newest.
 */
const vehiclesPerReuseMs = 50

/** The map at one moment, without its end: the URL of the live socket, which is another one for each client. */
type Edition = {
  version: number
  reusableUntil: number
  /** From then on a vehicle of it is too old to be on the map. */
  validUntil: number
  beginning: Uint8Array<ArrayBuffer>
  digest: string
  gzipped: Promise<GzipBeginning> | undefined
}

/** The answer of `/api/map`: written, and compressed, once for all who ask until the fleet has moved. */
export class FleetMap {
  readonly #window: RecentWindow
  readonly #names: VehicleNames
  readonly #now: () => number
  #newest: Edition | undefined

  constructor(window: RecentWindow, names: VehicleNames, now: () => number) {
    this.#window = window
    this.#names = names
    this.#now = now
  }

  answer(c: Context<RequestEnv>, socketUrl: string): Response | Promise<Response> {
    const edition = this.#edition()
    const { beginning, digest } = edition
    const end = Buffer.from(`${JSON.stringify(socketUrl)}}`)
    const answer = {
      digest: `${digest}-${crc32(end).toString(36)}`,
      length: beginning.length,
      offered: ['gzip'] as const,
    }
    return answerUnlessKnown(c, answer, async (coding) => {
      c.header('Content-Type', 'application/json')
      if (coding === undefined) {
        c.header('Content-Length', String(beginning.length + end.length))
        return c.body(streamOf(beginning, end))
      }
      const gzipped = (await this.#gzipped(edition))(end)
      c.header('Content-Length', String(gzipped.length))
      return c.body(gzipped)
    })
  }

  #edition(): Edition {
    const now = this.#now()
    const newest = this.#newest
    const isCurrent = newest && (newest.version === this.#window.positionsVersion || now < newest.reusableUntil)
    return isCurrent && now < newest.validUntil ? newest : (this.#newest = this.#write(now))
  }

  #write(now: number): Edition {
    const vehicles = mapOf(this.#window, this.#names)
    const beginning = Buffer.from(`{"vehicles":${JSON.stringify(vehicles)},"updateWebSocket":`)
    const oldest = vehicles.reduce((earliest, { timestamp = now }) => Math.min(earliest, timestamp), now)
    return {
      version: this.#window.positionsVersion,
      reusableUntil: now + Math.floor(vehicles.length / vehiclesPerReuseMs),
      validUntil: oldest + mapMs + 1,
      beginning,
      digest: digestOf(beginning),
      gzipped: undefined,
    }
  }

  #gzipped(edition: Edition): Promise<GzipBeginning> {
    edition.gzipped ??= gzipBeginning(edition.beginning, gzipLevel)
    return edition.gzipped
  }
}

/** The text is sent as it lies there: at a megabyte a request, a copy is what it would cost most. */
const streamOf = (...parts: Uint8Array[]): ReadableStream<Uint8Array> =>
  new ReadableStream({
    start(controller) {
      for (const part of parts) controller.enqueue(part)
      controller.close()
    },
  })
