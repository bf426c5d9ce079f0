import { hash } from 'node:crypto'
import { updateClass, updateKinds, type UpdateKind } from '@flasktoria/contracts/updates'
import type { MuteRules } from '@flasktoria/live-log/mutes'
import type { Place } from './box.ts'
import { canonicalText, sees, type Filter, type Seen } from './subscription.ts'

/** `hasEvents`: without, they come another way. */
type Part = { readonly filters: readonly Filter[]; readonly hasEvents: boolean }

/**
 * All that decides which updates come on a course: the filters of its subscriptions, minus what their client muted. Equal
 * views have equal signatures and get the same frames.
 *
 * A view is its `base` (the filters that name no vehicle and no box, nothing muted) but for the vehicles that it names, in a
 * filter or in a mute, and those that are in its boxes. So a flush that touches none of these looks the same in every view
 * with that base, however many there are.
 */
export type View = Part & {
  readonly signature: string
  readonly baseSignature: string
  readonly base: Part
  readonly mutes: MuteRules | undefined
  readonly named: ReadonlySet<string>
  /** Those with a viewport: what enters and leaves them has to be told. */
  readonly boxed: readonly Filter[]
  /** Those that want each reading. */
  readonly each: readonly Filter[]
}

const digest = (texts: unknown) => hash('sha256', JSON.stringify(texts), 'base64')
const textsOf = (filters: readonly Filter[]) => [...new Set(filters.map(canonicalText))].toSorted()
const isState = (kind: UpdateKind) => updateClass[kind] === 'merge'
const isWide = ({ vehicles, view }: Filter) => !vehicles && !view

export function createView(filters: readonly Filter[], mutes?: MuteRules, hasEvents = true): View {
  const base = { filters: filters.filter(isWide), hasEvents }
  const rules = [...(mutes ?? [])]
  const ruleTexts = rules.map((rule) => JSON.stringify([rule.kind, rule.vehicle, rule.sensor, rule.isMuted])).toSorted()
  return {
    signature: digest([textsOf(filters), hasEvents, ruleTexts]),
    baseSignature: digest([textsOf(base.filters), hasEvents]),
    base,
    filters,
    hasEvents,
    mutes: rules.length > 0 ? mutes : undefined,
    named: new Set([...filters.flatMap(({ vehicles }) => [...(vehicles ?? [])]), ...rules.map((rule) => rule.vehicle)]),
    boxed: filters.filter(({ view, kinds }) => view && [...(kinds ?? updateKinds)].some(isState)),
    each: filters.filter(({ every }) => every),
  }
}

const partSees = ({ filters, hasEvents }: Part, seen: Seen, place: Place | undefined): boolean =>
  (hasEvents || isState(seen.kind)) && filters.some((filter) => sees(filter, seen, place))

export const viewSees = (view: View, seen: Seen, place: Place | undefined): boolean =>
  partSees(view, seen, place) && !isMuted(view.mutes, seen)

export const baseSees = ({ base }: View, seen: Seen): boolean => partSees(base, seen, undefined)

/** Whether a reading has to be sent though a newer one is there. */
export const wantsEach = ({ each }: View, seen: Seen, place: Place | undefined): boolean =>
  seen.kind === 'sensordata' && each.some((filter) => sees(filter, seen, place))

/** Anomalies can't be muted. */
export const isMuted = (mutes: MuteRules | undefined, { kind, vehicle, sensor }: Seen): boolean =>
  mutes !== undefined && kind !== 'anomaly' && mutes.isMuted(kind, vehicle, sensor)

export const seesEvents = ({ kinds }: Filter): boolean => kinds?.has('anomaly') ?? true

export const seesAnomalies = (filters: readonly Filter[]): boolean => filters.some(seesEvents)
