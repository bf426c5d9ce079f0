import type { Connection, SendResult } from './transport.ts'

/** `full`: the hub's own buffer fills. `deaf`: kernels and proxies take everything, and nothing comes out at the other end. */
export type Stall = 'full' | 'deaf'

/** How things stood when something was sent. */
export type Sent = { atMs: number; readTo: number }

type Ends = {
  onSend: () => Sent
  onText: (text: string, sent: Sent) => void
  onPing: () => void
  onClose: () => void
}

/** A connection of which everything arrives in order, or later, or never. */
export class Line implements Connection {
  bufferedBytes = 0
  isClosed = false
  readonly #ends: Ends
  readonly #maxBufferedBytes: number
  #underway: (() => void)[] = []
  #stall: Stall | undefined

  constructor(ends: Ends, maxBufferedBytes: number) {
    this.#ends = ends
    this.#maxBufferedBytes = maxBufferedBytes
  }

  send(frame: string | Uint8Array): SendResult {
    if (this.isClosed || this.bufferedBytes > this.#maxBufferedBytes) return 'refused'
    const text = typeof frame === 'string' ? frame : Buffer.from(frame).toString()
    if (this.#stall === 'full') this.bufferedBytes += Buffer.byteLength(text)
    const sent = this.#ends.onSend()
    this.after(() => this.#ends.onText(text, sent))
    return this.#stall === 'full' ? 'queued' : 'sent'
  }

  ping(): void {
    this.after(() => this.#ends.onPing())
  }

  /** Happens when everything that was sent before has arrived. */
  after(happen: () => void): void {
    if (this.#stall) this.#underway.push(happen)
    else happen()
  }

  close(): void {
    if (this.isClosed) return
    this.break()
    this.#ends.onClose()
  }

  /** What is underway is lost. */
  break(): void {
    this.isClosed = true
    this.#underway = []
  }

  stall(how: Stall): void {
    this.#stall ??= how
  }

  goOn(): void {
    this.#stall = undefined
    this.bufferedBytes = 0
    for (const happen of this.#underway.splice(0)) if (!this.isClosed) happen()
  }
}
