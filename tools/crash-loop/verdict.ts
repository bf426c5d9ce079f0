import type { Written } from './ledger.ts'
import type { Sighting } from './witness.ts'

export type Testimony = { name: string; sightings: readonly Sighting[]; epochs: readonly string[] }
type Ground = { produced: number; written: readonly Written[]; epochs: readonly string[] }

/** Serials that stand more than once, by what makes them different. */
function twice<T extends { serial: number }>(items: readonly T[], place: (item: T) => string | number): number[] {
  const seen = new Set<string>()
  return items
    .filter((item) => {
      const key = `${item.serial}\t${place(item)}`
      return seen.has(key) || !seen.add(key)
    })
    .map(({ serial }) => serial)
}

const some = (serials: readonly number[]) => serials.slice(0, 8).join(', ') + (serials.length > 8 ? ', …' : '')

/** What is wrong with the log: each anomaly must stand in it, and once as long as Redis remembers. */
export function judgeLog({ produced, written }: Pick<Ground, 'produced' | 'written'>): string[] {
  const known = new Set(written.map(({ serial }) => serial))
  const lost = Array.from({ length: produced }, (_, serial) => serial).filter((serial) => !known.has(serial))
  const doubled = twice(written, ({ life }) => life)
  const strangers = [...known].filter((serial) => !(serial >= 0 && serial < produced))
  return [
    ...(lost.length > 0 ? [`${lost.length} anomalies are not in the log: ${some(lost)}`] : []),
    ...(doubled.length > 0 ? [`${doubled.length} anomalies stand twice in the log: ${some(doubled)}`] : []),
    ...(strangers.length > 0 ? [`nobody produced ${some(strangers)}`] : []),
  ]
}

/**
 * What is wrong with what somebody saw. Of each epoch they see all, in one piece: only where one epoch ends and the next begins
 * something may be missing, and they have to be told of the next one.
 */
export function judgeTestimony({ name, sightings, epochs: told }: Testimony, { written, epochs }: Ground): string[] {
  const faults: string[] = []
  const again = twice(sightings, ({ epoch }) => epoch)
  if (again.length > 0) faults.push(`${name} saw ${again.length} anomalies twice: ${some(again)}`)
  const writtenIn = Map.groupBy(written, ({ epoch }) => epoch)
  const seenIn = Map.groupBy(sightings, ({ epoch }) => epoch)
  const inLog = new Set(written.map(({ epoch, serial }) => `${epoch}\t${serial}`))
  const imagined = sightings.filter(({ epoch, serial }) => !inLog.has(`${epoch}\t${serial}`))
  if (imagined.length > 0)
    faults.push(`${name} saw ${imagined.length} that the log never had: ${some(imagined.map(({ serial }) => serial))}`)
  for (const [index, epoch] of epochs.entries()) {
    const seen = new Set(seenIn.get(epoch)?.map(({ serial }) => serial))
    const isSeen = (writtenIn.get(epoch) ?? []).map(({ serial }) => seen.has(serial))
    const missing = isSeen.filter((is) => !is).length
    if (missing === 0) continue
    const [first, last] = [isSeen.indexOf(true), isSeen.lastIndexOf(true)]
    const hasHole = first >= 0 && isSeen.slice(first, last).includes(false)
    const isCutBefore = index === 0 && first !== 0
    const isCutBehind = index === epochs.length - 1 && last >= 0 && last !== isSeen.length - 1
    if (hasHole || isCutBefore || isCutBehind)
      faults.push(`${name} missed ${missing} of ${isSeen.length} anomalies of epoch ${index + 1}, and was not told`)
    // Who came into an epoch late, maybe behind all of its anomalies, was told by the epoch itself.
    else if (!epochs.slice(index + (first === 0 ? 1 : 0)).some((later) => told.includes(later)))
      faults.push(`${name} missed ${missing} anomalies where epoch ${index + 1} ended, and was told of no other`)
  }
  return faults
}

/** How many anomalies somebody missed at the seams of epochs, and how many came again after a Redis had lost its memory. */
export function countSeams({ sightings }: Testimony, { written }: Ground): { missed: number; repeated: number } {
  const seen = new Set(sightings.map(({ serial }) => serial))
  const known = new Set(written.map(({ serial }) => serial))
  return { missed: [...known].filter((serial) => !seen.has(serial)).length, repeated: sightings.length - seen.size }
}
