/**
 * What the platform asks a service. `live`: the process works. `ready`: send it traffic. A check answers with a reason, or
 * undefined when all is well; `degraded` reasons are reported but keep it ready.
 */
export type HealthCheck = {
  name: string
  isDegradedOnly?: boolean
  failing: () => string | undefined | Promise<string | undefined>
}

export type HealthReport = { status: 'ok' | 'degraded' | 'unready'; checks: Record<string, string> }

export async function readHealth(checks: readonly HealthCheck[]): Promise<HealthReport> {
  const reasons = await Promise.all(
    checks.map(async ({ failing }) => {
      try {
        return await failing()
      } catch (error) {
        return error instanceof Error ? error.message : String(error)
      }
    }),
  )
  let status: HealthReport['status'] = 'ok'
  const report: HealthReport['checks'] = {}
  for (const [index, check] of checks.entries()) {
    const reason = reasons[index]
    report[check.name] = reason ?? 'ok'
    if (reason === undefined) continue
    if (!check.isDegradedOnly) status = 'unready'
    else if (status === 'ok') status = 'degraded'
  }
  return { status, checks: report }
}

/** Paths of the operations port of every service. */
export const healthPaths = { live: '/livez', ready: '/readyz', metrics: '/metrics' } as const
