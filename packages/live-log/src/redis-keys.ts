/** The keys of the one shard there is. The hash tag keeps them on one node of a cluster. */
export const logKeys = (prefix: string) => {
  const base = `${prefix}:{0}`
  return {
    epoch: `${base}:epoch`,
    seq: `${base}:seq`,
    times: `${base}:times`,
    state: `${base}:state`,
    events: `${base}:events`,
    stream: `${base}:stream`,
    /** Which seq the log had reached when, a mark a minute: tells what is too old without a time per key. */
    marks: `${base}:marks`,
    channel: `${base}:log`,
  }
}
export type LogKeys = ReturnType<typeof logKeys>

export const defaultPrefix = 'flasktoria'
