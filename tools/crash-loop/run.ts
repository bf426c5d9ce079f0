import { setTimeout as sleep } from 'node:timers/promises'
import { Chance } from './chance.ts'
import { openScene, type Scene, type SceneReport } from './scene.ts'

export type CrashLoopOptions = {
  dir: string
  kills: number
  seed: number
  /** How many times oftener than usual Redis and Kafka die. */
  haste?: number
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
export type CrashLoopReport = Counts & SceneReport & { seconds: number }

type Span = readonly [from: number, to: number]

const sessionTimeoutMs = 2_000
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
export async function runCrashLoop({ dir, seed, signal, ...options }: CrashLoopOptions): Promise<CrashLoopReport> {
  const startedAtMs = performance.now()
  const chance = new Chance(seed)
  await using scene = await openScene({ dir, sessionTimeoutMs, chance })
  const { counts, ended } = await disturb({ ...options, scene, chance, signal })
  signal?.throwIfAborted()
  const report = await scene.end()
  return {
    ...counts,
    ...report,
    seconds: Math.round((performance.now() - startedAtMs) / 1_000),
    faults: [...ended.map((name) => `${name} ended by itself`), ...report.faults],
  }
}

type Disturbance = Omit<CrashLoopOptions, 'dir' | 'seed'> & { scene: Scene; chance: Chance }

/** All at once, each at its own pace, until ingest was killed often enough. */
async function disturb({ scene, chance, kills, haste = 1, say, signal: interrupt }: Disturbance) {
  const counts: Counts = { ingestKills: 0, ingestFreezes: 0, redisRestarts: 0, redisLosses: 0, kafkaKills: 0 }
  const ended: string[] = []
  const enough = new AbortController()
  const signal = AbortSignal.any([enough.signal, ...(interrupt ? [interrupt] : [])])
  const { ledger } = scene
  const { redis, kafka, ingests } = scene.rig
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
    const isLost = (counts.redisRestarts + counts.redisLosses) % lossEvery === 1
    await ledger.close(redis, isLost)
    if (isLost) redis.forget()
    counts[isLost ? 'redisLosses' : 'redisRestarts']++
    await sleep(pace.between(0, 3_000))
    await redis.start()
  }
  const killKafka = async (pace: Chance) => {
    await kafka.kill()
    counts.kafkaKills++
    await sleep(pace.between(0, 3_000))
    await kafka.start()
  }
  const hasty = ([from, to]: Span): Span => [from / haste, to / haste]
  const [ofFreezes, ofRedis, ofKafka] = [chance.fork(), chance.fork(), chance.fork()]
  await Promise.all([
    killIngests(chance.fork()),
    every(freezesMs, ofFreezes, () => freezeIngest(ofFreezes)),
    every(hasty(redisDeathsMs), ofRedis, () => killRedis(ofRedis)),
    every(hasty(kafkaDeathsMs), ofKafka, () => killKafka(ofKafka)),
  ])
  return { counts, ended }
}
