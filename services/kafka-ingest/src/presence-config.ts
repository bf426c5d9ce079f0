import { z } from 'zod'

const ms = (fallback: number, description: string) =>
  z.coerce.number().int().min(1_000).max(86_400_000).default(fallback).meta({ description })

/** The options that say when a vehicle is stale and when it is offline, to be spread into a service's schema. */
export const presenceOptions = {
  STALE_MIN_MS: ms(20_000, 'A vehicle is stale after three of its usual silences between reports, but not sooner.'),
  STALE_MAX_MS: ms(300_000, 'A vehicle is stale after this much silence, however rarely it reports.'),
  OFFLINE_MIN_MS: ms(60_000, 'A vehicle is offline after ten of its usual silences between reports, but not sooner.'),
  OFFLINE_MAX_MS: ms(1_800_000, 'A vehicle is offline after this much silence, however rarely it reports.'),
}

type PresenceConfig = { [name in keyof typeof presenceOptions]: number }

const inOrder = [
  ['STALE_MIN_MS', 'STALE_MAX_MS'],
  ['OFFLINE_MIN_MS', 'OFFLINE_MAX_MS'],
  ['STALE_MIN_MS', 'OFFLINE_MIN_MS'],
  ['STALE_MAX_MS', 'OFFLINE_MAX_MS'],
] as const

/** Mistakes that only two options together show. */
export function checkPresence(config: PresenceConfig, context: z.RefinementCtx): void {
  for (const [less, more] of inOrder)
    if (config[less] > config[more]) context.addIssue({ code: 'custom', path: [less], message: `is more than ${more}` })
}

export const presenceLimits = (config: PresenceConfig) => ({
  staleMinMs: config.STALE_MIN_MS,
  staleMaxMs: config.STALE_MAX_MS,
  offlineMinMs: config.OFFLINE_MIN_MS,
  offlineMaxMs: config.OFFLINE_MAX_MS,
})
