import { createRedisLog } from '@flasktoria/live-log/log-redis'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Chance } from './chance.ts'
import { Ledger } from './ledger.ts'
import { startRig, type RigOptions } from './rig.ts'
import { createTraffic } from './traffic.ts'
import { countSeams, judgeLog, judgeTestimony } from './verdict.ts'
import { followAsHub, watchAsClient } from './witness.ts'

export type SceneReport = {
  anomalies: number
  readings: number
  epochs: number
  /** Not seen because an epoch ended: whoever missed them was told. */
  missedAtSeams: { reader: number; client: number }
  /** Seen again after a Redis had lost its memory. */
  repeatedAfterLoss: { reader: number; client: number }
  gapsTold: number
  faults: string[]
}

const settleWithinMs = 120_000

/** A rig under traffic, with a ledger, and two who watch: a reader of the log and a client of the hub. */
export async function openScene({ chance, ...options }: RigOptions & { chance: Chance }) {
  await using parts = new AsyncDisposableStack()
  const rig = parts.use(await startRig(options))
  const url = options.redisUrl ?? rig.redis.url
  const ledger = new Ledger()
  ledger.start(url)
  parts.defer(() => ledger.stop())
  const log = parts.adopt(createRedisLog({ url }), (it) => it.close())
  const reader = parts.adopt(await followAsHub(log, () => ledger.life), (it) => it.close())
  const client = watchAsClient(rig.hub.url.replace('http', 'ws'), () => ledger.life)
  parts.defer(() => client.close())
  const onlookers = [reader, client]

  const areAllReady = async () =>
    (await Promise.all([...rig.ingests, rig.hub].map((one) => one.isReady()))).every(Boolean)
  await until(async () => client.isOpen() && (await areAllReady()))
  const traffic = parts.adopt(await createTraffic(rig.kafka.brokers, chance.fork()), (it) => it.close())
  traffic.start()

  /** Lets everything come to rest; what does not is a fault. */
  async function settle(): Promise<string[]> {
    const faults: string[] = []
    const within = async (isSo: () => Promise<boolean> | boolean, fault: () => string) => {
      await until(isSo, settleWithinMs).catch(() => faults.push(fault()))
    }
    await within(areAllReady, () => {
      const ended = rig.ingests.filter(({ hasEnded }) => hasEnded).map(({ name }) => name)
      return `not every process became ready again; ended by themselves: ${ended.join(', ') || 'none'}`
    })
    await traffic.finish()
    for (const { witness, missing } of onlookers)
      await within(
        () => missing(traffic.last).length === 0,
        () => `${witness.name} does not show the last state: ${missing(traffic.last).slice(0, 3).join(', ')}`,
      )
    // What is missing after that is the verdict's to say.
    await until(areAllSeen, settleWithinMs).catch(() => {})
    return faults
  }

  /** Each anomaly is in the log, and who watches has the last one of it. */
  async function areAllSeen(): Promise<boolean> {
    await ledger.copy(url).catch(() => {})
    if (new Set(ledger.anomalies.map(({ serial }) => serial)).size < traffic.anomalies.length) return false
    const last = ledger.anomalies.findLast(({ epoch }) => epoch === ledger.epochs.at(-1))
    const sawIt = ({ witness: { sightings } }: (typeof onlookers)[number]) =>
      sightings.some(({ epoch, serial }) => epoch === last?.epoch && serial === last.serial)
    return last === undefined || onlookers.every(sawIt)
  }

  async function end(): Promise<SceneReport> {
    const unsettled = await settle()
    const ground = { produced: traffic.anomalies.length, written: ledger.anomalies, epochs: ledger.epochs }
    const inKafka = await traffic.anomaliesInKafka()
    const lost = [...traffic.readings.difference(ledger.readings)]
    const [ofReader, ofClient] = [countSeams(reader.witness, ground), countSeams(client.witness, ground)]
    return {
      anomalies: ground.produced,
      readings: traffic.readings.size,
      epochs: ledger.epochs.length,
      missedAtSeams: { reader: ofReader.missed, client: ofClient.missed },
      repeatedAfterLoss: { reader: ofReader.repeated, client: ofClient.repeated },
      gapsTold: client.gaps(),
      faults: [
        ...unsettled,
        ...(inKafka === ground.produced ? [] : [`Kafka has ${inKafka} anomalies, ${ground.produced} were produced`]),
        ...judgeLog(ground),
        ...[...ledger.outlived].map((epoch) => `epoch ${epoch} went on in another Redis process`),
        ...(lost.length === 0 ? [] : [`${lost.length} readings are not in the log: ${lost.slice(0, 5).join(', ')}`]),
        ...onlookers.flatMap(({ witness }) => [
          ...judgeTestimony(witness, ground),
          ...witness.regressions.slice(0, 5).map((what) => `${witness.name} was shown an older value: ${what}`),
        ]),
      ],
    }
  }

  const running = parts.move()
  return { rig, ledger, reader, client, traffic, end, [Symbol.asyncDispose]: () => running.disposeAsync() }
}
export type Scene = Awaited<ReturnType<typeof openScene>>

async function until(isSo: () => Promise<boolean> | boolean, withinMs = 60_000): Promise<void> {
  for (const deadline = Date.now() + withinMs; Date.now() < deadline; await sleep(100)) if (await isSo()) return
  throw new Error(`it did not come within ${withinMs / 1_000} s`)
}
