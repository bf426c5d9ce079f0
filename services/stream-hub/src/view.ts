import { createHash } from 'node:crypto'
import type { MuteRules } from '@flasktoria/live-log/mutes'
import { canonicalText, sees, type Filter, type Seen } from './subscription.ts'

/**
 * All that decides which updates a session sees: the filters of its subscriptions, minus what its client muted.
 * Equal views have equal signatures and get the same frames.
 *
 * A view is its `base` (the filters that name no vehicle, nothing muted) but for the vehicles that it names, in a filter
 * or in a mute. So a flush that touches none of the named vehicles looks the same in every view with that base, however
 * many there are.
 */
export type View = {
  readonly signature: string
  readonly baseSignature: string
  readonly base: readonly Filter[]
  readonly filters: readonly Filter[]
  readonly mutes: MuteRules | undefined
  readonly named: ReadonlySet<string>
}

const digest = (texts: readonly string[]) => createHash('sha256').update(JSON.stringify(texts)).digest('base64')

export function createView(filters: readonly Filter[], mutes?: MuteRules): View {
  const base = filters.filter((filter) => !filter.vehicles)
  const rules = [...(mutes ?? [])]
  const texts = [...new Set(filters.map(canonicalText))].toSorted()
  const ruleTexts = rules.map((rule) => JSON.stringify([rule.kind, rule.vehicle, rule.sensor, rule.isMuted])).toSorted()
  return {
    signature: digest([...texts, ...ruleTexts]),
    baseSignature: digest([...new Set(base.map(canonicalText))].toSorted()),
    base,
    filters,
    mutes: rules.length > 0 ? mutes : undefined,
    named: new Set([...filters.flatMap(({ vehicles }) => [...(vehicles ?? [])]), ...rules.map((rule) => rule.vehicle)]),
  }
}

export const viewSees = ({ filters, mutes }: View, seen: Seen): boolean =>
  filters.some((filter) => sees(filter, seen)) && !isMuted(mutes, seen)

export const baseSees = ({ base }: View, seen: Seen): boolean => base.some((filter) => sees(filter, seen))

/** Anomalies can't be muted. */
export const isMuted = (mutes: MuteRules | undefined, { kind, vehicle, sensor }: Seen): boolean =>
  mutes !== undefined && kind !== 'anomaly' && mutes.isMuted(kind, vehicle, sensor)

export const seesAnomalies = (filters: readonly Filter[]): boolean =>
  filters.some(({ kinds }) => kinds?.has('anomaly') ?? true)
