import { zonedTime } from './zoned-time.ts'

const wholeSeconds = 'yyyy-MM-dd HH:mm:ss'.length
const zero = '0'.charCodeAt(0)
const pattern = /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?\s?(Z|[+-](?:0\d|1[0-4]):?[0-5]\d)?$/

/**
 * Reads `2026-01-02 03:04:05`, also with a `T`, a fraction, and an offset of its own; without one it is a wall clock of
 * `zone`. NaN for anything else.
 * @throws RangeError when there is no such zone
 */
export function textTime(zone: string): (text: string) => number {
  const inZone = zonedTime(zone)
  const inUtc = zonedTime('UTC')
  // Records come in the order of their times, mostly: what the last minute is need not be found out again.
  let minute = ' '
  let minuteMs = 0
  return (text) => {
    if (text.length === wholeSeconds && text.startsWith(minute)) {
      const seconds = secondsOf(text)
      if (seconds < 60) return minuteMs + seconds * 1_000
    }
    const match = pattern.exec(text)
    if (!match) return NaN
    const [, day, clock, fraction, offset] = match
    const whole = (offset === undefined ? inZone : inUtc)(`${day} ${clock}`)
    if (whole === undefined) return NaN
    if (text.length === wholeSeconds) {
      minute = text.slice(0, 17)
      minuteMs = whole - secondsOf(text) * 1_000
    }
    const ms = fraction === undefined ? 0 : Number(fraction.slice(0, 3).padEnd(3, '0'))
    return whole + ms - offsetMs(offset)
  }
}

/** NaN where there are no two digits. */
function secondsOf(text: string): number {
  const tens = text.charCodeAt(17) - zero
  const ones = text.charCodeAt(18) - zero
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : NaN
}

function offsetMs(offset: string | undefined): number {
  if (offset === undefined || offset === 'Z') return 0
  const minutes = Number(offset.slice(1, 3)) * 60 + Number(offset.slice(-2))
  return (offset.startsWith('-') ? -minutes : minutes) * 60_000
}
