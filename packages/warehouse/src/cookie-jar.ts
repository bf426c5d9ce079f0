const maxCookies = 32

/** What a gateway wants to be reminded of. All connections to one server share it: they belong to the same backend. */
export class CookieJar {
  readonly #values = new Map<string, string>()

  /** `setCookie`: values of that header. */
  keep(setCookie: readonly string[]): void {
    for (const cookie of setCookie) {
      const [pair = '', ...attributes] = cookie.split(';').map((part) => part.trim())
      const at = pair.indexOf('=')
      if (at < 1) continue
      const name = pair.slice(0, at)
      this.#values.delete(name)
      if (attributes.some(isOver) || this.#values.size === maxCookies) continue
      this.#values.set(name, pair.slice(at + 1))
    }
  }

  /** The header Cookie, or undefined when there is nothing to say. */
  header(): string | undefined {
    return this.#values.size === 0 ? undefined : [...this.#values].map((pair) => pair.join('=')).join('; ')
  }
}

const isOver = (attribute: string): boolean => {
  const [name = '', value = ''] = attribute.split('=')
  if (/^max-age$/i.test(name)) return Number(value) <= 0
  return /^expires$/i.test(name) && Date.parse(value) <= Date.now()
}
