import type { Bucket } from '@flasktoria/warehouse/queries-history'
import type { Period } from '@flasktoria/warehouse/queries'
import type { Grid } from './bucket-gatherer.ts'

export type Sample = { timestamp: number; value: number }

/** The first and the last reading of a series stand beside those of its buckets. */
const ends = 2
const perBucket = 2

/** So many samples are the choice that a triangle is made of: with all of them it would hardly look otherwise. */
const samplesPerTriangle = 4

/** Buckets such that the extremes of all of them, and the ends of the series, are at most `maxPoints`. */
export function gridOf({ from, to }: Period, maxPoints: number): Grid {
  const buckets = Math.max(1, Math.floor((maxPoints - ends) / perBucket))
  return { origin: from, bucketMs: Math.ceil((to - from + 1) / buckets) }
}

/** Finer buckets, out of whose extremes `largestTriangles` chooses (MinMaxLTTB, Van Der Donckt et al., 2023). */
export const gridOfTriangles = (period: Period, maxPoints: number): Grid =>
  gridOf(period, maxPoints * samplesPerTriangle)

/**
 * The curve of a series, oldest first: the least and the greatest reading of each bucket, and the first and the last of all. Where
 * there is no reading there is no point, so that a gap stays one.
 */
export function extremesOf(buckets: readonly Bucket[]): Sample[] {
  const samples: Sample[] = []
  const push = (timestamp: number, value: number) => {
    if (samples.at(-1)?.timestamp !== timestamp) samples.push({ timestamp, value })
  }
  for (const [index, { first, firstAt, last, lastAt, min, minAt, max, maxAt }] of buckets.entries()) {
    if (index === 0) push(firstAt, first)
    if (minAt < maxAt) {
      push(minAt, min)
      push(maxAt, max)
    } else {
      push(maxAt, max)
      push(minAt, min)
    }
    if (index === buckets.length - 1) push(lastAt, last)
  }
  return samples
}

/**
 * Largest triangle three buckets (Steinarsson, 2013) over buckets of equal time: of each one the sample that makes the largest
 * triangle with the one chosen before and the mean of the next. The ends stay. At most `maxPoints`, at least 3.
 */
export function largestTriangles(samples: readonly Sample[], maxPoints: number): Sample[] {
  const [first, last] = [samples[0], samples.at(-1)]
  if (samples.length <= maxPoints || !first || !last) return [...samples]
  const bucketMs = (last.timestamp - first.timestamp) / (maxPoints - ends)
  const indexOf = ({ timestamp }: Sample) =>
    Math.min(Math.floor((timestamp - first.timestamp) / bucketMs), maxPoints - ends - 1)
  const buckets = [...Map.groupBy(samples.slice(1, -1), indexOf).values()]
  const chosen = [first]
  for (const [index, bucket] of buckets.entries())
    chosen.push(largest(bucket, chosen.at(-1)!, meanOf(buckets[index + 1] ?? [last])))
  return [...chosen, last]
}

function meanOf(samples: readonly Sample[]): Sample {
  let [timestamp, value] = [0, 0]
  for (const sample of samples) {
    timestamp += sample.timestamp / samples.length
    value += sample.value / samples.length
  }
  return { timestamp, value }
}

function largest(bucket: readonly Sample[], a: Sample, c: Sample): Sample {
  let best = bucket[0]!
  let bestArea = -1
  for (const sample of bucket) {
    const area = Math.abs(
      (a.timestamp - c.timestamp) * (sample.value - a.value) - (a.timestamp - sample.timestamp) * (c.value - a.value),
    )
    if (area > bestArea) [best, bestArea] = [sample, area]
  }
  return best
}
