import type { ServerMessage } from '@flasktoria/contracts/stream'
import { summarise, type FeedReport } from '@flasktoria/live-log/feed'
import type { Entry } from '@flasktoria/live-log/log'

type FeedMessage = Extract<ServerMessage, { type: 'feed' }>

/** How fresh the data is: what ingest says, and what is seen of it here. Times are epoch milliseconds. */
export class Freshness {
  reports: readonly FeedReport[] = []
  #newestEventTs = -Infinity
  #logLagMs: number | null = null
  #awaySince: number | undefined

  hear(entries: readonly Entry[], nowTs: number): void {
    // That a vehicle has fallen silent is no record of it.
    for (const { kind, eventTs } of entries)
      if (kind !== 'vehiclestatus' && eventTs > this.#newestEventTs) this.#newestEventTs = eventTs
    const appendedAt = entries.at(-1)?.appendedAt ?? 0
    if (appendedAt > 0) this.#logLagMs = Math.max(0, nowTs - appendedAt)
  }

  hearConnected(isConnected: boolean, nowTs: number): void {
    this.#awaySince = isConnected ? undefined : (this.#awaySince ?? nowTs)
  }

  message(nowTs: number): FeedMessage {
    const { kafkaLagRecords, kafkaLagMs, newestEventTs, warehouseLagMs } = summarise(this.reports, nowTs)
    const newest = Math.max(this.#newestEventTs, newestEventTs ?? -Infinity)
    return {
      type: 'feed',
      lagMs: Number.isFinite(newest) ? Math.max(0, nowTs - newest) : null,
      kafkaLagRecords,
      kafkaLagMs,
      logLagMs: this.#awaySince === undefined ? this.#logLagMs : nowTs - this.#awaySince,
      warehouseLagMs,
    }
  }
}
