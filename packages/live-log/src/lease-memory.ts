import type { Lease } from './lease.ts'

/** The lease of the only process there is: always ours. */
export const createMemoryLease = (now: () => number = Date.now): Lease => ({
  ttlMs: Infinity,
  hold: async () => now(),
  release: async () => {},
  close: async () => {},
})
