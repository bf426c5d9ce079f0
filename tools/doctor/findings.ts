import { Chart } from './chart.ts'
import type { Finding } from './report.ts'

/** For tests: what an examination found, and where it found trouble. */
export async function findingsOf(examine: (chart: Chart) => void | Promise<void>, area: Finding['area']) {
  const chart = new Chart(area)
  await examine(chart)
  const { findings } = chart
  return {
    findings,
    of: (check: string) => findings.find((finding) => finding.check === check),
    troubles: findings.filter(({ status }) => status !== 'ok'),
  }
}
