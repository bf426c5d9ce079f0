import { zonedTime } from './zoned-time.ts'

const pattern = /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?\s?(Z|[+-](?:0\d|1[0-4]):?[0-5]\d)?$/

/**
 * Reads `2026-01-02 03:04:05`, also with a `T`, a fraction, and an offset of its own; without one it is a wall clock of
 * `zone`. NaN for anything else.
 * @throws RangeError when there is no such zone
 */
export function textTime(zone: string): (text: string) => number {
  const inZone = zonedTime(zone)
  const inUtc = zonedTime('UTC')
  return (text) => {
    const match = pattern.exec(text)
    if (!match) return NaN
    const [, day, clock, fraction, offset] = match
    const whole = (offset === undefined ? inZone : inUtc)(`${day} ${clock}`)
    if (whole === undefined) return NaN
    const ms = fraction === undefined ? 0 : Number(fraction.slice(0, 3).padEnd(3, '0'))
    return whole + ms - offsetMs(offset)
  }
}

function offsetMs(offset: string | undefined): number {
  if (offset === undefined || offset === 'Z') return 0
  const minutes = Number(offset.slice(1, 3)) * 60 + Number(offset.slice(-2))
  return (offset.startsWith('-') ? -minutes : minutes) * 60_000
}
