import type { MessageOf } from '@flasktoria/client/server-message'

const secondMs = 1_000
const units = [
  { name: 'd', ms: 86_400 * secondMs },
  { name: 'h', ms: 3_600 * secondMs },
  { name: 'min', ms: 60 * secondMs },
  { name: 's', ms: secondMs },
]
/** Older than this is worth a warning. */
const freshMs = 30 * secondMs

/** How old the newest data is. Between two words of the hub it grows, and goes on doing so when none comes. */
export class FeedAge {
  readonly #output: HTMLElement
  #newestAt: number | undefined

  constructor(output: HTMLElement) {
    this.#output = output
    setInterval(() => this.#draw(), secondMs)
  }

  hear({ lagMs }: MessageOf<'feed'>): void {
    this.#newestAt = lagMs === null ? undefined : Date.now() - lagMs
    this.#draw()
  }

  #draw(): void {
    if (this.#newestAt === undefined) return
    const ageMs = Math.max(0, Date.now() - this.#newestAt)
    const { name, ms } = units.find((unit) => ageMs >= unit.ms) ?? units.at(-1)!
    this.#output.textContent = `data ${Math.floor(ageMs / ms)} ${name} old`
    this.#output.dataset['state'] = ageMs <= freshMs ? 'fresh' : 'late'
  }
}
