import { ok, warning, wrong, type Judgement } from './chart.ts'

const noticedMs = 1_000
const wrongMs = 60_000

export const span = (ms: number): string => {
  const seconds = Math.abs(ms) / 1_000
  if (seconds < 60) return `${seconds.toFixed(1)} s`
  if (seconds < 2 * 3_600) return `${Math.round(seconds / 60)} min`
  return seconds < 2 * 86_400 ? `${Math.round(seconds / 3_600)} h` : `${Math.round(seconds / 86_400)} days`
}

/** Another machine's clock against ours. `uncertainMs`: how long the question took, or how coarse the answer is. */
export function judgeClock(theirs: number, ours: number, uncertainMs: number): Judgement {
  const aheadMs = theirs - ours
  const beyondMs = Math.abs(aheadMs) - uncertainMs
  if (beyondMs <= noticedMs) return ok('its clock and ours agree')
  const says = `its clock is ${span(aheadMs)} ${aheadMs > 0 ? 'ahead of' : 'behind'} ours`
  const advice = 'Let both machines follow the same NTP servers.'
  return beyondMs > wrongMs ? wrong(says, advice) : warning(says, advice)
}
