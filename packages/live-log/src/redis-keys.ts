/** The keys of the one shard there is. The hash tag keeps them on one node of a cluster. */
export const logKeys = (prefix: string) => {
  const base = `${prefix}:{0}`
  return {
    /** Hash: the epoch, the last seq, and the Redis process that counted it. */
    head: `${base}:head`,
    /** Hash: the event time of each MERGE key. */
    times: `${base}:times`,
    /** Hash: the latest entry of each MERGE key. */
    state: `${base}:state`,
    /** Sorted set: ids of events by arrival. */
    events: `${base}:events`,
    /** Stream: the last batches, the first seq of each as its id. */
    stream: `${base}:stream`,
    /** Sorted set: which seq the log had reached when. Tells what is too old without a time per key. */
    marks: `${base}:marks`,
    /** Hash: what each ingest instance reported last. */
    feeds: `${base}:feeds`,
    channel: `${base}:log`,
    /** Who does a work that only one of many may do. */
    lease: `${base}:lease`,
  }
}
export type LogKeys = ReturnType<typeof logKeys>

export const defaultPrefix = 'flasktoria'
