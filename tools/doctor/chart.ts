import type { Area, Finding, Status } from './report.ts'

export type Judgement = { status: Status; says: string; advice?: string; details?: string[] }

export const ok = (says: string, details?: string[]): Judgement => ({ status: 'ok', says, ...(details && { details }) })
export const warning = (says: string, advice: string, details?: string[]): Judgement => ({
  status: 'warning',
  says,
  advice,
  ...(details && { details }),
})
export const wrong = (says: string, advice: string, details?: string[]): Judgement => ({
  status: 'wrong',
  says,
  advice,
  ...(details && { details }),
})

export type CheckOptions = {
  /** A check that takes longer has found something, too. */
  withinMs?: number
  /** What it then says. */
  late?: () => Judgement
  /** What an error means that the check throws. */
  failed?: (error: unknown) => Judgement
}

const defaultWithinMs = 10_000

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

const lateAfter = (withinMs: number) =>
  wrong(`no answer within ${withinMs / 1_000} s`, 'Is it overloaded or frozen, or is a firewall in between?')

/** The findings of one area. They stand in the order in which their checks began, whichever ends first. */
export class Chart {
  readonly #area: Area
  readonly #slots: Finding[][] = []

  constructor(area: Area) {
    this.#area = area
  }

  get findings(): Finding[] {
    return this.#slots.flat()
  }

  note(check: string, judgement: Judgement): void {
    this.#slots.push([this.#finding(check, judgement)])
  }

  /** One check, which ends in time whatever it meets. False: it found something wrong. */
  async check(
    name: string,
    work: (signal: AbortSignal) => Promise<Judgement>,
    { withinMs = defaultWithinMs, late = () => lateAfter(withinMs), failed = notExpected }: CheckOptions = {},
  ): Promise<boolean> {
    const slot: Finding[] = []
    this.#slots.push(slot)
    const timeUp = new AbortController()
    const { promise: isLate, resolve } = Promise.withResolvers<Judgement>()
    const timer = setTimeout(() => {
      resolve(late())
      timeUp.abort()
    }, withinMs)
    const judged = work(timeUp.signal).catch((error: unknown) => (timeUp.signal.aborted ? isLate : failed(error)))
    const judgement = await Promise.race([isLate, judged])
    clearTimeout(timer)
    slot.push(this.#finding(name, judgement))
    return judgement.status !== 'wrong'
  }

  unchecked(names: readonly string[], says: string): void {
    for (const name of names) this.note(name, { status: 'unchecked', says })
  }

  #finding(check: string, judgement: Judgement): Finding {
    return { area: this.#area, check, ...judgement }
  }
}

const notExpected = (error: unknown): Judgement =>
  wrong(messageOf(error), 'The doctor knows no more than this; the log of the server may.')
