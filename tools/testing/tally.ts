export type Skip = { title: string; reason: string }
export type Tally = { passed: number; failed: number; skipped: readonly Skip[] }

/** The closing line of a test run. Where `isStrict`, a test that did not run counts as one that failed. */
export function closingLine({ passed, failed, skipped }: Tally, isStrict: boolean): string {
  if (isStrict) return `${passed} passed, ${failed + skipped.length} failed`
  return `${passed} passed, ${failed} failed${skipped.length > 0 ? `, ${skipped.length} skipped` : ''}`
}

export const hasFailed = ({ failed, skipped }: Tally, isStrict: boolean): boolean =>
  failed > 0 || (isStrict && skipped.length > 0)
