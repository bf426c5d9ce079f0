import { createRedisLog } from '@flasktoria/live-log/log-redis'
import { setTimeout as sleep } from 'node:timers/promises'
import { Chance } from './chance.ts'
import { Ledger } from './ledger.ts'
import { startRig, type Rig } from './rig.ts'
import { createTraffic, type Traffic } from './traffic.ts'
import { countSeams, judgeLog, judgeTestimony } from './verdict.ts'
import { followAsHub, watchAsClient } from './witness.ts'

export type CrashLoopOptions = {
  dir: string
  kills: number
  seed: number
  say: (line: string) => void
  /** Ends it early. */
  signal?: AbortSignal | undefined
}

type Counts = {
  ingestKills: number
  ingestFreezes: number
  redisRestarts: number
  redisLosses: number
  kafkaKills: number
}

export type CrashLoopReport = Counts & {
  seconds: number
  anomalies: number
  readings: number
  epochs: number
  /** Seen neither by the reader nor by the client because a Redis died with them: both were told. */
  missedAtSeams: { reader: number; client: number }
  /** Seen again after a Redis had lost its memory. */
  repeatedAfterLoss: { reader: number; client: number }
  gapsTold: number
  faults: string[]
}

type Span = readonly [from: number, to: number]

const sessionTimeoutMs = 2_000
const settleWithinMs = 120_000
/** Of three kills, two find a group at work; the third comes while it is still busy with the one before. */
const soonMs: Span = [50, 1_200]
const laterMs: Span = [2_200, 4_000]
const freezesMs: Span = [8_000, 20_000]
const redisDeathsMs: Span = [6_000, 18_000]
const kafkaDeathsMs: Span = [14_000, 40_000]
/** Every so many deaths of Redis its memory is gone, too. */
const lossEvery = 4

/**
 * Kills two ingests of one group under traffic, again and again, and Redis and Kafka now and then; afterwards what was
 * produced, what stood in the log, and what a reader and a client saw are held against each other.
 */
export async function runCrashLoop({ dir, kills, seed, say, signal }: CrashLoopOptions): Promise<CrashLoopReport> {
  const chance = new Chance(seed)
  const startedAtMs = performance.now()
  await using parts = new AsyncDisposableStack()
  const rig = parts.use(await startRig({ dir, sessionTimeoutMs }))
  const ledger = new Ledger()
  ledger.start(rig.redis.url)
  parts.defer(() => ledger.stop())
  const log = parts.adopt(createRedisLog({ url: rig.redis.url }), (it) => it.close())
  const reader = parts.adopt(await followAsHub(log, () => ledger.life), (it) => it.close())
  const client = watchAsClient(rig.hub.url.replace('http', 'ws'), () => ledger.life)
  parts.defer(() => client.close())
  await until(async () => client.isOpen() && (await allReady(rig)), 'the start')
  const traffic = parts.adopt(await createTraffic(rig.kafka.brokers, chance.fork()), (it) => it.close())
  traffic.start()

  const { counts, ended } = await disturb({ rig, ledger, chance, kills, say, signal })
  signal?.throwIfAborted()
  const unsettled = await settle(rig, ledger, traffic, [reader, client])
  const ground = { produced: traffic.anomalies.length, written: ledger.anomalies, epochs: ledger.epochs }
  const inKafka = await traffic.anomaliesInKafka()
  const lostReadings = traffic.readings.difference(ledger.readings)
  const [ofReader, ofClient] = [countSeams(reader.witness, ground), countSeams(client.witness, ground)]
  return {
    ...counts,
    seconds: Math.round((performance.now() - startedAtMs) / 1_000),
    anomalies: ground.produced,
    readings: traffic.readings.size,
    epochs: ledger.epochs.length,
    missedAtSeams: { reader: ofReader.missed, client: ofClient.missed },
    repeatedAfterLoss: { reader: ofReader.repeated, client: ofClient.repeated },
    gapsTold: client.gaps(),
    faults: [
      ...ended.map((name) => `${name} ended by itself`),
      ...unsettled,
      ...(inKafka === ground.produced ? [] : [`Kafka has ${inKafka} anomalies, ${ground.produced} were produced`]),
      ...judgeLog(ground),
      ...(lostReadings.size > 0
        ? [`${lostReadings.size} readings are not in the log: ${[...lostReadings].slice(0, 5).join(', ')}`]
        : []),
      ...[reader, client].flatMap(({ witness }) => [
        ...judgeTestimony(witness, ground),
        ...witness.regressions.slice(0, 5).map((what) => `${witness.name} was shown an older value: ${what}`),
      ]),
    ],
  }
}

type Disturbance = Omit<CrashLoopOptions, 'dir' | 'seed'> & { rig: Rig; ledger: Ledger; chance: Chance }

/** All at once, each at its own pace, until ingest was killed often enough. */
async function disturb({ rig, ledger, chance, kills, say, signal: interrupt }: Disturbance) {
  const counts: Counts = { ingestKills: 0, ingestFreezes: 0, redisRestarts: 0, redisLosses: 0, kafkaKills: 0 }
  const ended: string[] = []
  const enough = new AbortController()
  const signal = AbortSignal.any([enough.signal, ...(interrupt ? [interrupt] : [])])
  const { redis, kafka, ingests } = rig
  const every = async ([from, to]: Span, pace: Chance, deed: () => Promise<void>) => {
    for (;;) {
      await sleep(pace.between(from, to), undefined, { signal }).catch(() => {})
      if (signal.aborted) return
      await deed()
    }
  }
  const killIngests = async (pace: Chance) => {
    while (counts.ingestKills < kills && !signal.aborted) {
      const [from, to] = pace.isLikely(1 / 3) ? soonMs : laterMs
      await sleep(pace.between(from, to))
      const chosen = pace.isLikely(0.1) ? ingests : [pace.pick(ingests)]
      ended.push(...chosen.filter(({ hasEnded }) => hasEnded).map(({ name }) => name))
      await Promise.all(chosen.map((one) => one.kill()))
      counts.ingestKills += chosen.length
      await sleep(pace.between(0, 500))
      await Promise.all(chosen.map((one) => one.launch()))
      if (counts.ingestKills % 10 === 0) say(`${counts.ingestKills} kills`)
    }
    enough.abort()
  }
  const freezeIngest = async (pace: Chance) => {
    const one = pace.pick(ingests)
    one.freeze()
    counts.ingestFreezes++
    await sleep(sessionTimeoutMs + pace.between(-1_000, 2_000))
    one.thaw()
  }
  const killRedis = async (pace: Chance) => {
    await redis.kill()
    if ((counts.redisRestarts + counts.redisLosses) % lossEvery === 1) {
      await redis.forget((url) => ledger.copy(url))
      ledger.turnPage()
      counts.redisLosses++
    } else counts.redisRestarts++
    await sleep(pace.between(0, 3_000))
    await redis.start()
  }
  const killKafka = async (pace: Chance) => {
    await kafka.kill()
    counts.kafkaKills++
    await sleep(pace.between(0, 3_000))
    await kafka.start()
  }
  const [ofFreezes, ofRedis, ofKafka] = [chance.fork(), chance.fork(), chance.fork()]
  await Promise.all([
    killIngests(chance.fork()),
    every(freezesMs, ofFreezes, () => freezeIngest(ofFreezes)),
    every(redisDeathsMs, ofRedis, () => killRedis(ofRedis)),
    every(kafkaDeathsMs, ofKafka, () => killKafka(ofKafka)),
  ])
  return { counts, ended }
}

type Onlooker = Pick<Awaited<ReturnType<typeof followAsHub>>, 'missing' | 'witness'>

/** Lets everything come to rest; what does not is a fault. */
async function settle(rig: Rig, ledger: Ledger, traffic: Traffic, onlookers: readonly Onlooker[]): Promise<string[]> {
  const faults: string[] = []
  const within = async (isSo: () => Promise<boolean> | boolean, fault: () => string) => {
    await until(isSo, '', settleWithinMs).catch(() => faults.push(fault()))
  }
  await within(
    () => allReady(rig),
    () =>
      `not every process became ready again; ended: ${
        rig.ingests
          .filter(({ hasEnded }) => hasEnded)
          .map(({ name }) => name)
          .join(', ') || 'none'
      }`,
  )
  await traffic.finish()
  for (const { witness, missing } of onlookers)
    await within(
      () => missing(traffic.last).length === 0,
      () => `${witness.name} does not show the last state: ${missing(traffic.last).slice(0, 3).join(', ')}`,
    )
  const isWritten = async () => {
    await ledger.copy(rig.redis.url).catch(() => {})
    return new Set(ledger.anomalies.map(({ serial }) => serial)).size >= traffic.anomalies.length
  }
  await until(isWritten, '', settleWithinMs).catch(() => {})
  const lastEpoch = ledger.epochs.at(-1)
  const written = ledger.anomalies.filter(({ epoch }) => epoch === lastEpoch).at(-1)
  const sawLast = ({ witness }: Onlooker) =>
    !written || witness.sightings.some(({ epoch, serial }) => epoch === lastEpoch && serial === written.serial)
  await until(() => onlookers.every(sawLast), '', 10_000).catch(() => {})
  return faults
}

const allReady = async ({ ingests, hub }: Rig): Promise<boolean> =>
  (await Promise.all([...ingests, hub].map((one) => one.isReady()))).every(Boolean)

async function until(isSo: () => Promise<boolean> | boolean, what: string, withinMs = 60_000): Promise<void> {
  for (const deadline = Date.now() + withinMs; Date.now() < deadline; await sleep(100)) if (await isSo()) return
  throw new Error(`${what} took longer than ${withinMs / 1_000} s`)
}
