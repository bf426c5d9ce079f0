import type { Interpreted, Interpreter } from '@flasktoria/kafka-ingest/interpret'
import type { TopicProfile } from '@flasktoria/kafka-ingest/topic-profile'
import type { Fact } from '@flasktoria/kafka-ingest/validate'
import { ok, warning, wrong, type Judgement } from './chart.ts'
import { span } from './clock.ts'
import type { SampledRecord } from './sample-topics.ts'

const shown = 3
const shownBytes = 24

/** What to do about a reason that many records share. */
const advice: Readonly<Record<string, string>> = {
  tombstone: 'Tombstones (records without a value) say nothing here: harmless.',
  oversized: 'Records of this size come from no producer that this profile knows: is it the right topic?',
  confluent_framing: 'The values have Confluent framing: say so in TOPICS_FILE ("payload": {"form": "confluent", …}).',
  single_object_framing:
    'The values are Avro single objects: say so in TOPICS_FILE ("payload": {"form": "single-object", …}).',
  json_text: 'The values are JSON: say so in TOPICS_FILE ("payload": {"form": "json"}).',
  not_framed:
    'The values have no framing: say "form": "avro" in TOPICS_FILE, or does another producer write there, too?',
  unknown_schema: 'The values name a schema that nobody told us: add it to schemaFiles, or name the right registry.',
  unfit_schema: "The writer's schema lacks a field that the profile names: correct fields in TOPICS_FILE.",
  missing_field: 'The values lack a field that the profile names: correct fields in TOPICS_FILE.',
  wrong_type: 'A field holds something else than the profile says: correct fields in TOPICS_FILE ("as").',
  other_producer:
    "Another producer's records: five fields and times as text belong in SENSOR_V5_TOPICS, six fields in SENSOR_TOPICS.",
  malformed: 'They are not written as the profile says: does the schema belong to this topic?',
  bad_time: 'What stands where the time should be is none: does the profile name the right field and zone?',
  too_old: 'Raise nothing in a hurry: times before EARLIEST_TIME are mostly seconds taken for milliseconds.',
  in_future: "Correct the producers' clocks, or raise MAX_AHEAD_MS.",
  bad_vehicle_id: 'What stands where the vehicle should be is no id: does the profile name the right field?',
  bad_sensor_id: 'What stands where the sensor should be is no id: does the profile name the right field?',
  no_label: 'Values have to be `label: value`: does the profile say how this topic writes them?',
}
const otherAdvice = 'Dead letters show such records whole: npm run dead-letters -- show.'

type Meaning = {
  interpret: Interpreter
  /** Other ways in which they could be read. */
  others: readonly TopicProfile[]
  now: number
}

/** Do the newest records of a topic mean something when they are read as the configuration says? */
export function judgeRecords(records: readonly SampledRecord[], profile: TopicProfile, meaning: Meaning): Judgement {
  const { interpret, others, now } = meaning
  const read = (as: TopicProfile) =>
    records.map((record): [SampledRecord, Interpreted] => [
      record,
      interpret({ profile: as, value: record.value }, now),
    ])
  const facts = read(profile)
  const refused = facts.filter(([, { ok: isGood }]) => !isGood)
  const good = facts.flatMap(([, interpreted]) => (interpreted.ok ? [interpreted.fact] : []))
  const examples = good
    .toSorted((a, b) => b.ts - a.ts)
    .slice(0, shown)
    .map(inWords)
  const count = records.length === 1 ? 'newest record' : `${records.length} newest records`
  if (refused.length === 0) return ok(`the ${count} can be read as ${profile.name}`, examples)
  const reasons = tally(refused.flatMap(([, interpreted]) => (interpreted.ok ? [] : [interpreted.reason])))
  const list = reasons.map(([reason, times]) => `${times} × ${reason}`).join(', ')
  const what = advice[reasons[0]![0]] ?? otherAdvice
  if (good.length > 0)
    return warning(`${refused.length} of the ${count} are refused (${list})`, what, [...examples, ...bytesOf(refused)])
  const better = others.find(
    (other) => other !== profile && read(other).filter(([, { ok: isGood }]) => isGood).length * 2 > records.length,
  )
  return wrong(
    `none of the ${count} reads as ${profile.name} (${list})`,
    better ? `They read as ${better.name}: give the topic that profile.` : what,
    bytesOf(refused),
  )
}

function tally(reasons: readonly string[]): [reason: string, times: number][] {
  const times = new Map<string, number>()
  for (const reason of reasons) times.set(reason, (times.get(reason) ?? 0) + 1)
  return [...times].toSorted((a, b) => b[1] - a[1])
}

function inWords(fact: Fact): string {
  const time = new Date(fact.ts).toISOString()
  if (fact.kind === 'fix') return `${time}  ${fact.vehicle} is at ${fact.lat}, ${fact.long}`
  if (fact.kind === 'reading') return `${time}  ${fact.vehicle}  ${fact.sensor} = ${fact.text}`
  return `${time}  ${fact.vehicle}  anomaly ${fact.anomalyId}${fact.rootCause && `: ${fact.rootCause}`}`
}

const bytesOf = (refused: readonly [SampledRecord, Interpreted][]): string[] =>
  refused.slice(-shown).map(([{ partition, offset, value }, interpreted]) => {
    const bytes = value?.toString('hex', 0, shownBytes).replaceAll(/..(?=.)/g, '$& ') ?? 'no value'
    const more = (value?.length ?? 0) > shownBytes ? ' …' : ''
    return `partition ${partition}, offset ${offset}: ${interpreted.ok ? '' : interpreted.reason}: ${bytes}${more}`
  })

const oldMs = 600_000
const noticedMs = 1_000
const zoneStepMs = 900_000
const widestZoneMs = 14 * 3_600_000

/** The times inside the records against our clock, and against the stamps that Kafka has of them. */
export function judgeRecordTimes(
  records: readonly SampledRecord[],
  profile: TopicProfile,
  { maxAheadMs, now }: { maxAheadMs: number; now: number },
): Judgement {
  const times = records.flatMap(({ value, timestamp }) => {
    const decoded = profile.read(value)
    return decoded.ok && Math.abs(decoded.ts) < 8.64e15 ? [{ ts: decoded.ts, stamp: timestamp }] : []
  })
  if (times.length === 0) return { status: 'unchecked', says: 'no record can be decoded' }
  const zoneMs = zoneOf(times.map(({ ts, stamp }) => ts - stamp))
  if (zoneMs !== undefined)
    return warning(
      `events are said to happen ${span(zoneMs)} ${zoneMs > 0 ? 'after' : 'before'} their records were produced: a time zone?`,
      'Times that came as text need the right zone (TEXT_TIME_ZONE); numbers have to count from 1970 in UTC.',
    )
  const newest = times.reduce((latest, { ts }) => Math.max(latest, ts), -Infinity)
  const aheadMs = newest - now
  if (aheadMs > maxAheadMs)
    return wrong(
      `the newest is ${span(aheadMs)} ahead of our clock, and is refused`,
      "Correct the producers' clocks, or raise MAX_AHEAD_MS.",
    )
  if (aheadMs > noticedMs)
    return warning(
      `the newest is ${span(aheadMs)} ahead of our clock`,
      "Let the producers' machines and this one follow the same NTP servers.",
    )
  const says = `the newest is of ${new Date(newest).toISOString()}, ${span(aheadMs)} ago`
  // Nobody knows when the next anomaly comes.
  if (profile.kind === 'anomaly' || -aheadMs <= oldMs) return ok(says)
  return warning(says, "Does nobody produce now, or is the producers' clock behind? The newest stamp of Kafka tells.", [
    `Kafka stamped the newest ${new Date(times.reduce((latest, { stamp }) => Math.max(latest, stamp), 0)).toISOString()}`,
  ])
}

/** A difference that is the same for all, and a quarter of an hour or a multiple of it, is no delay. */
function zoneOf(differences: readonly number[]): number | undefined {
  const sorted = differences.toSorted((a, b) => a - b)
  const middle = sorted[Math.floor(sorted.length / 2)]!
  const nearest = Math.round(middle / zoneStepMs) * zoneStepMs
  if (nearest === 0 || Math.abs(nearest) > widestZoneMs) return undefined
  return sorted.every((difference) => Math.abs(difference - nearest) < zoneStepMs / 15) ? nearest : undefined
}
