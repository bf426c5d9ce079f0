/** Work that one process does for all of them, as long as it lives. */
export interface Lease {
  /** How long a lease that is not kept stays taken. */
  readonly ttlMs: number
  /**
   * Takes the lease if it is free, or keeps it if it is ours. Resolves with the log's clock (epoch milliseconds) when it is ours
   * now, for `ttlMs` from the call; with undefined when another process has it. Rejects with `LogUnavailable`.
   */
  hold(): Promise<number | undefined>
  /** Gives it back, so that nobody has to wait for its end. Harmless without it. Rejects with `LogUnavailable`. */
  release(): Promise<void>
  close(): Promise<void>
}
