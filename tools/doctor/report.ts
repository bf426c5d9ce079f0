import { z } from 'zod'

export const areas = ['configuration', 'kafka', 'redis', 'warehouse', 'origin', 'disk'] as const
export type Area = (typeof areas)[number]

const statuses = ['ok', 'unchecked', 'warning', 'wrong'] as const
export type Status = (typeof statuses)[number]

const findingSchema = z.strictObject({
  area: z.enum(areas),
  check: z.string().meta({ description: 'What was looked at, such as `topic clb.demo.depa.raw`.' }),
  status: z.enum(statuses).meta({
    description: '`unchecked`: nothing to look at, or an earlier check failed on which it depends; `says` says which.',
  }),
  says: z.string().meta({ description: 'What was found.' }),
  advice: z.string().optional().meta({ description: 'What to change.' }),
  details: z.array(z.string()).optional().meta({ description: 'What it looked like, such as the first records.' }),
})
export type Finding = z.infer<typeof findingSchema>

/** What `npm run doctor -- --json` prints. Programs read it: nothing may be renamed or taken away. */
export const reportSchema = z.strictObject({
  verdict: z.enum(['ok', 'warning', 'wrong']).meta({ description: 'The worst finding. Exit code 0, 1, 2.' }),
  examinedAt: z.iso.datetime(),
  findings: z.array(findingSchema),
})
export type Report = z.infer<typeof reportSchema>

export const exitCodes: Record<Report['verdict'], number> = { ok: 0, warning: 1, wrong: 2 }

export function reportOf(findings: Finding[], now: number): Report {
  const has = (status: Status) => findings.some((finding) => finding.status === status)
  const verdict = has('wrong') ? 'wrong' : has('warning') ? 'warning' : 'ok'
  return { verdict, examinedAt: new Date(now).toISOString(), findings }
}

/** For people: a line a finding, by area, what to do below it. */
export function* linesOf({ findings, verdict }: Report): Generator<string> {
  for (const [area, ofArea] of Map.groupBy(findings, (finding) => finding.area)) {
    yield area
    for (const { status, check, says, advice, details = [] } of ofArea) {
      yield `  ${status.padEnd(9)}  ${check}: ${says}`
      if (advice !== undefined) yield `  ${' '.repeat(9)}  → ${advice}`
      for (const detail of details) yield `  ${' '.repeat(9)}    ${detail}`
    }
    yield ''
  }
  const count = (status: Status) => findings.filter((finding) => finding.status === status).length
  const counts = statuses.map((status) => `${count(status)} ${status}`).join(', ')
  yield `${verdict}: ${counts}`
}
