import { setTimeout as sleep } from 'node:timers/promises'
import type { Scene } from './scene.ts'

const withinMs = 60_000
const pollMs = 25

async function until<T>(ask: () => Promise<T | undefined> | T | undefined, what: () => string): Promise<T> {
  for (const deadline = Date.now() + withinMs; Date.now() < deadline; await sleep(pollMs)) {
    const answer = await ask()
    if (answer !== undefined) return answer
  }
  throw new Error(`${what()} did not come within ${withinMs / 1_000} s`)
}

/** What each ingest says is wrong, when all of them say that something is. */
async function saidByIngests({ rig: { ingests } }: Scene): Promise<Record<string, string>[] | undefined> {
  const all = await Promise.all(ingests.map((one) => one.readiness()))
  return all.every(({ status }) => status === 503) ? all.map(({ checks }) => checks) : undefined
}

export const untilIngestsSay = (scene: Scene, check: string, what: RegExp): Promise<true> => {
  let said: unknown
  const areSaying = async () => {
    const all = await saidByIngests(scene)
    said = all
    return all?.every((checks) => what.test(checks[check] ?? '')) ? true : undefined
  }
  return until(areSaying, () => `"${what.source}" of ${check} (${JSON.stringify(said)})`)
}

/** So many anomalies, absent: all that Kafka has by now, are in the log. */
export function untilWritten({ ledger, traffic }: Scene, count = traffic.anomalies.length): Promise<true> {
  const lacking = () => {
    const written = new Set(ledger.anomalies.map(({ serial }) => serial))
    return Array.from({ length: count }, (_, serial) => serial).filter((serial) => !written.has(serial))
  }
  return until(
    () => (lacking().length === 0 ? true : undefined),
    () => `anomalies ${lacking().slice(0, 8).join(', ')}`,
  )
}

/**
 * How long it takes from now until who watches sees something that was produced from now on, until the log has every anomaly
 * that was produced before, and until all services are ready.
 */
export async function measureRecovery(scene: Scene) {
  const { rig, client, reader, traffic } = scene
  const [startedAtMs, now] = [performance.now(), Date.now()]
  const sinceStart = () => Math.round(performance.now() - startedAtMs)
  const seesNew = ({ witness: { sightings } }: Scene['client'] | Scene['reader']) =>
    sightings.slice(-50).some(({ serial }) => (traffic.anomalies[serial] ?? 0) >= now) ? sinceStart() : undefined
  const isReady = async () => {
    const all = await Promise.all([...rig.ingests, rig.hub].map((one) => one.isReady()))
    return all.every(Boolean) ? sinceStart() : undefined
  }
  const [readerMs, clientMs, completeMs, readyMs] = await Promise.all([
    until(
      () => seesNew(reader),
      () => 'anything new at the reader',
    ),
    until(
      () => seesNew(client),
      () => 'anything new at the client',
    ),
    untilWritten(scene).then(sinceStart),
    until(isReady, () => 'readiness'),
  ])
  return { readerMs, clientMs, completeMs, readyMs }
}

/** How often each ingest has joined its group. */
export const joinsOf = ({ rig: { ingests } }: Scene): Promise<number[]> =>
  Promise.all(ingests.map((one) => one.metric('kafka_rebalances_total')))
