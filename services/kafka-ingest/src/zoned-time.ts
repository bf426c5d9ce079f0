const quarterHourMs = 15 * 60_000
const dayMs = 24 * 60 * 60_000
const maxRemembered = 4_096

/**
 * Reads `yyyy-MM-dd HH:mm:ss` as a wall clock of `zone` shows it; undefined for anything else. An hour that a clock shows
 * twice is the first one; one that it skips counts on from before the jump, as `Temporal` has it.
 * @throws RangeError when there is no such zone
 */
export function zonedTime(zone: string): (text: string) => number | undefined {
  const offsetAt = zoneOffset(zone)
  return (text) => {
    const wallClock = parseWallClock(text)
    if (wallClock === undefined || zone === 'UTC') return wallClock
    const before = offsetAt(wallClock - dayMs)
    const after = offsetAt(wallClock + dayMs)
    const isBefore = before === after || offsetAt(wallClock - before) === before
    return !isBefore && offsetAt(wallClock - after) === after ? wallClock - after : wallClock - before
  }
}

/** Milliseconds east of UTC at an instant. Clocks only ever change on a quarter of an hour, so one answer holds for all of it. */
function zoneOffset(zone: string): (instant: number) => number {
  const format = new Intl.DateTimeFormat('en-US', { timeZone: zone, timeZoneName: 'longOffset' })
  const remembered = new Map<number, number>()
  return (instant) => {
    const quarter = Math.floor(instant / quarterHourMs)
    const known = remembered.get(quarter)
    if (known !== undefined) return known
    const name = format.formatToParts(quarter * quarterHourMs).find(({ type }) => type === 'timeZoneName')?.value ?? ''
    const [, sign, hours = '0', minutes = '0', seconds = '0'] = /GMT([+-])(\d+):(\d+)(?::(\d+))?/.exec(name) ?? []
    const offset = (sign === '-' ? -1 : 1) * (Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds)) * 1_000
    if (remembered.size >= maxRemembered) remembered.clear()
    remembered.set(quarter, offset)
    return offset
  }
}

function parseWallClock(text: string): number | undefined {
  const match = /^(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)$/.exec(text)
  if (!match) return undefined
  const instant = Date.parse(`${text.replace(' ', 'T')}Z`)
  // Date.parse rolls 30 February over to March, and takes 24:00:00.
  return Number.isNaN(instant) || new Date(instant).toISOString().slice(0, 19) !== text.replace(' ', 'T')
    ? undefined
    : instant
}
