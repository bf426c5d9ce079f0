import { connectTo, type KafkaAccess } from '@flasktoria/kafka-ingest/kafka-client'
import { kafkaHint } from '@flasktoria/kafka-ingest/kafka-hints'
import type { Interpreter } from '@flasktoria/kafka-ingest/interpret'
import type { FetchedSchemas } from '@flasktoria/kafka-ingest/topic-profile'
import { chooseTopics, type TopicRule } from '@flasktoria/kafka-ingest/topics'
import { createLogger } from '@flasktoria/service-kit/logger'
import type { Admin, Kafka } from 'kafkajs'
import { messageOf, ok, warning, wrong, type Chart, type Judgement } from './chart.ts'
import { reach } from './reach.ts'
import { judgeRecords, judgeRecordTimes } from './records.ts'
import { sampleTopics, type SampledRecord, type Samples } from './sample-topics.ts'

export type KafkaSettings = {
  access: KafkaAccess
  rules: readonly TopicRule[]
  /** Of the live updates first. */
  groups: readonly string[]
  interpret: Interpreter
  maxAheadMs: number
}

/** A cluster that is new needs a moment to find the coordinator of a group. */
const patience = { retries: 4, initialRetryTime: 200, maxRetryTime: 1_000 }
/** Whoever asks one broker hears soon whether it answers: all attempts fit into the time of a check. */
const haste = { retries: 1, initialRetryTime: 100, maxRetryTime: 300 }
const maxAttempts = 3
const loginWithinMs = 15_000
const sampleWithinMs = 20_000
const silent = createLogger('doctor', 'silent')

const judgeFailure = (error: unknown, asked?: Parameters<typeof kafkaHint>[1]): Judgement =>
  wrong(messageOf(error), kafkaHint(error, asked) ?? "The reason is in the broker's log.")
const judged = { failed: (error: unknown) => judgeFailure(error) }

/** Can each broker be reached and used, are the topics there, and do their records mean what the configuration says? */
export async function examineKafka(chart: Chart, settings: KafkaSettings): Promise<void> {
  const { access } = settings
  const clusters = await Promise.all(access.brokers.map((broker) => examineBootstrap(chart, access, broker)))
  const cluster = clusters.find((found) => found !== undefined)
  if (!cluster) return chart.unchecked(['topics', 'groups', 'records'], 'no broker lets us in')
  await Promise.all(cluster.brokers.map((broker) => examineAdvertised(chart, access, broker)))
  const kafka = connectTo(access, silent, patience)
  const admin = kafka.admin()
  try {
    const topics = await examineTopics(chart, admin, settings)
    if (topics === undefined) return chart.unchecked(['groups', 'records'], 'the topics can not be listed')
    await Promise.all([
      ...settings.groups.map((group) => examineGroup(chart, admin, group, [...topics.keys()])),
      examineRecords(chart, kafka, admin, settings, topics),
    ])
  } finally {
    await admin.disconnect().catch(() => {})
  }
}

type Broker = { nodeId: number; host: string; port: number }
type Cluster = { brokers: Broker[]; clusterId: string; controller: number | null }

const endpointOf = (broker: string): { host: string; port: number } => {
  const colon = broker.lastIndexOf(':')
  return { host: broker.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(broker.slice(colon + 1)) }
}

async function examineBootstrap(chart: Chart, access: KafkaAccess, place: string): Promise<Cluster | undefined> {
  const { host, port } = endpointOf(place)
  const isThere = await chart.check(`connection to ${place}`, (signal) => reach(host, port, 'KAFKA_BROKERS', signal))
  if (!isThere) {
    chart.unchecked([`login at ${place}`], 'it is not reachable')
    return undefined
  }
  let cluster: Cluster | undefined
  await chart.check(
    `login at ${place}`,
    async () => {
      const admin = connectTo({ ...access, brokers: [place] }, silent, haste).admin()
      try {
        await admin.connect()
        cluster = await describe(admin)
      } finally {
        await admin.disconnect().catch(() => {})
      }
      return judgeCluster(cluster, access)
    },
    { withinMs: loginWithinMs, failed: (error) => judgeLogin(error, place) },
  )
  return cluster
}

/** kafkajs asks any broker, by the name that it has among brokers: one that is away shall not hide the others. */
async function describe(admin: Admin): Promise<Cluster> {
  for (let attempt = 1; ; attempt++)
    try {
      return await admin.describeCluster()
    } catch (error) {
      if (attempt === maxAttempts) throw error
    }
}

/** We were let in at `place`, and then sent to another: the address that the broker gives its clients. */
function judgeLogin(error: unknown, place: string): Judgement {
  const sentTo = brokerOf(error)
  return sentTo === undefined || sentTo === place
    ? judgeFailure(error)
    : judgeAdvertised(sentTo, messageOf(error), 'that broker')
}

const judgeAdvertised = (place: string, reason: string, who: string): Judgement =>
  wrong(
    `it tells its clients to come to ${place}, and that fails: ${reason}`,
    `Let ${endpointOf(place).host} mean something on this machine (DNS, /etc/hosts), or correct advertised.listeners of ${who}.`,
  )

function brokerOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  return 'broker' in error && typeof error.broker === 'string' ? error.broker : brokerOf(error.cause)
}

function judgeCluster({ brokers, clusterId, controller }: Cluster, { tls, sasl }: KafkaAccess): Judgement {
  const how = `${tls ? 'TLS' : 'no TLS'}, ${sasl ? sasl.mechanism : 'no login'}`
  const count = `${brokers.length} ${brokers.length === 1 ? 'broker' : 'brokers'}`
  if (controller === null)
    return wrong(`cluster ${clusterId} has no controller`, 'It takes no changes until it has one: look at its logs.')
  return ok(`it lets us in (${how}); cluster ${clusterId} has ${count}`)
}

/** Clients go where a broker says that it is, whatever address they began with. */
async function examineAdvertised(chart: Chart, { brokers }: KafkaAccess, broker: Broker): Promise<void> {
  const place = `${broker.host}:${broker.port}`
  const isKnown = brokers.some((known) => {
    const { host, port } = endpointOf(known)
    return host === broker.host && port === broker.port
  })
  if (isKnown) return chart.note(`broker ${broker.nodeId}`, ok(`it calls itself ${place}, as KAFKA_BROKERS does`))
  await chart.check(`broker ${broker.nodeId}`, async (signal) => {
    const reached = await reach(broker.host, broker.port, 'advertised.listeners of that broker', signal)
    if (reached.status === 'ok') return ok(`it calls itself ${place}, and can be reached there`)
    return judgeAdvertised(place, reached.says, `broker ${broker.nodeId}`)
  })
}

type Topics = ReturnType<typeof chooseTopics>['profiles']

/** Undefined: they could not be listed. */
async function examineTopics(chart: Chart, admin: Admin, { rules }: KafkaSettings): Promise<Topics | undefined> {
  let existing: string[] | undefined
  await chart.check(
    'topics',
    async () => {
      await admin.connect()
      existing = await admin.listTopics()
      return ok(`this user sees ${existing.length} topics`)
    },
    judged,
  )
  if (existing === undefined) return undefined
  const seen = existing
  const { profiles, missing, ambiguous } = chooseTopics(rules, seen)
  for (const topic of missing)
    chart.note(
      `topic ${topic}`,
      wrong(
        'there is no such topic, or this user may not see it',
        `Create it, give the user DESCRIBE and READ on it, or correct the name in the configuration.${similar(topic, seen)}`,
      ),
    )
  for (const topic of ambiguous)
    chart.note(
      `topic ${topic}`,
      wrong(
        'patterns of several profiles match it, so it is not read',
        'Let one pattern match it, or name it in one of them.',
      ),
    )
  for (const pattern of rules.flatMap(({ patterns }) => patterns)) chart.note(...judgePattern(pattern, seen))
  if (profiles.size === 0 && missing.length === 0)
    chart.note('topics', wrong('the configuration chooses none', 'Name topics, or patterns that match some.'))
  await Promise.all([...profiles.keys()].map((topic) => examinePartitions(chart, admin, topic)))
  return profiles
}

const maxNames = 10

function judgePattern(pattern: RegExp, existing: readonly string[]): [check: string, judgement: Judgement] {
  const matches = existing.filter((topic) => !topic.startsWith('__') && pattern.test(topic))
  const source = pattern.source.replace(/^\^\(\?:([^]*)\)\$$/, '$1')
  const more = matches.length > maxNames ? `, and ${matches.length - maxNames} more` : ''
  return [
    `pattern /${source}/`,
    matches.length > 0
      ? ok(`it matches ${matches.slice(0, maxNames).join(', ')}${more}`)
      : warning('it matches no topic', 'It has to match the whole name; topics that come later are found then.'),
  ]
}

const letters = (name: string) => name.toLowerCase().replaceAll(/[^a-z0-9]/g, '')

/** A name that differs only in case, dots, dashes or underscores was probably meant. */
function similar(topic: string, existing: readonly string[]): string {
  const meant = existing.find((name) => letters(name) === letters(topic))
  return meant === undefined ? '' : ` There is ${meant}.`
}

async function examinePartitions(chart: Chart, admin: Admin, topic: string): Promise<void> {
  await chart.check(
    `topic ${topic}`,
    async () => {
      const [metadata] = (await admin.fetchTopicMetadata({ topics: [topic] })).topics
      const partitions = metadata?.partitions ?? []
      const count = `${partitions.length} ${partitions.length === 1 ? 'partition' : 'partitions'}`
      const leaderless = partitions.filter(({ leader }) => leader < 0).length
      if (leaderless > 0)
        return wrong(
          `${leaderless} of its ${count} have no leader and can't be read`,
          'Bring the brokers back that hold them.',
        )
      const ends = await admin.fetchTopicOffsets(topic)
      const records = ends.reduce((sum, { high, low }) => sum + Number(high) - Number(low), 0)
      const says = `${count}, ${records} records`
      const thin = partitions.filter(({ isr, replicas }) => isr.length < replicas.length).length
      return thin > 0
        ? warning(`${says}; ${thin} lack a replica`, 'A broker is away or behind: look at its log.')
        : ok(says)
    },
    judged,
  )
}

async function examineGroup(chart: Chart, admin: Admin, groupId: string, topics: string[]): Promise<void> {
  await chart.check(
    `group ${groupId}`,
    async () => {
      const [group] = (await admin.describeGroups([groupId])).groups
      if (group && group.members.length > 0 && group.protocolType !== 'consumer')
        return wrong(`others use this name, as ${group.protocolType}`, 'Let KAFKA_GROUP be a name of its own.')
      const says = inWords(group?.state ?? 'Dead', group?.members.length ?? 0)
      if (topics.length === 0) return ok(says)
      const { lag, deleted, isNew } = await measureLag(admin, groupId, topics)
      if (deleted > 0)
        return warning(
          `${says}; ${deleted} records were deleted before it read them`,
          'Raise retention.ms of the topics, or run more instances of kafka-ingest.',
        )
      return ok(isNew ? `${says}; it has never read these topics` : `${says}; ${lag} records wait for it`)
    },
    { failed: (error) => judgeFailure(error, { group: groupId }) },
  )
}

function inWords(state: string, members: number): string {
  if (members === 0) return 'nobody is in it just now'
  return `${members} ${members === 1 ? 'member' : 'members'}, ${state}`
}

async function measureLag(admin: Admin, groupId: string, topics: string[]) {
  const committed = await admin.fetchOffsets({ groupId, topics })
  let [lag, deleted, isNew] = [0, 0, true]
  await Promise.all(
    committed.map(async ({ topic, partitions }) => {
      const ends = new Map((await admin.fetchTopicOffsets(topic)).map((end) => [end.partition, end]))
      for (const { partition, offset } of partitions) {
        const end = ends.get(partition)
        if (!end || offset === '-1') continue
        isNew = false
        lag += Number(end.high) - Math.max(Number(offset), Number(end.low))
        deleted += Math.max(0, Number(end.low) - Number(offset))
      }
    }),
  )
  return { lag, deleted, isNew }
}

async function examineRecords(
  chart: Chart,
  kafka: Kafka,
  admin: Admin,
  { rules, groups, interpret, maxAheadMs }: KafkaSettings,
  topics: Topics,
): Promise<void> {
  const names = [...topics.keys()]
  const group = `${groups[0]}-doctor`
  let samples: Samples | undefined
  const isRead = await chart.check(
    'reading',
    async (signal) => {
      samples = await sampleTopics(kafka, admin, group, names, signal)
      const count = [...samples.values()].reduce((sum, { records }) => sum + records.length, 0)
      return ok(`${count} records were read, in the group ${group}, which is gone again`)
    },
    { withinMs: sampleWithinMs, failed: (error) => judgeReading(error, group, names) },
  )
  if (!isRead || !samples) return chart.unchecked(names.flatMap(recordChecks), 'no records could be read')
  const profiles = new Map(rules.map(({ profile }) => [profile.name, profile]))
  for (const [topic, profile] of topics) {
    const [meaning, times] = recordChecks(topic)
    const { records, isEmpty } = samples.get(topic) ?? { records: [], isEmpty: true }
    if (records.length === 0) {
      const says = isEmpty ? 'there are none (yet)' : 'none came in time'
      const isUsual = isEmpty && profile.kind === 'anomaly'
      chart.note(meaning, isUsual ? ok(says) : warning(says, 'Does anybody produce into this topic?'))
      chart.unchecked([times], 'there are no records')
      continue
    }
    if (profile.schemas) await examineSchemas(chart, profile.name, profile.schemas, records)
    chart.note(meaning, judgeRecords(records, profile, { interpret, others: [...profiles.values()], now: Date.now() }))
    chart.note(times, judgeRecordTimes(records, profile, { maxAheadMs, now: Date.now() }))
  }
}

async function examineSchemas(
  chart: Chart,
  profile: string,
  schemas: FetchedSchemas,
  records: readonly SampledRecord[],
): Promise<void> {
  const failed = (error: unknown) =>
    wrong(messageOf(error), `Correct profile ${profile} in TOPICS_FILE, or the schemas in the registry.`)
  await chart.check(
    `schemas of ${profile}`,
    async (signal) => {
      await schemas.check(signal, silent)
      const ids = schemas.unheardOf(records.map(({ value }) => value))
      await Promise.all(ids.map((id) => schemas.fetch(id, signal, silent)))
      return ok(`the registry answers, and gave the ${ids.length} schemas that the newest records name`)
    },
    { failed, late: () => failed(schemas.failing() ?? 'the registry does not answer') },
  )
}

const recordChecks = (topic: string): [meaning: string, times: string] => [`records of ${topic}`, `times in ${topic}`]

function judgeReading(error: unknown, group: string, topics: readonly string[]): Judgement {
  const judgement = judgeFailure(error, { group, topics })
  const isAboutGroup = judgement.advice?.includes(group)
  if (!isAboutGroup) return judgement
  return wrong(
    judgement.says,
    `${judgement.advice} The doctor reads in it, so as not to disturb the group of the services.`,
  )
}
