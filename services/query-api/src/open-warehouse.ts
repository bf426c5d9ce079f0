import type { Logger } from '@flasktoria/service-kit/logger'
import type { Metrics } from '@flasktoria/service-kit/metrics'
import { profileMistakes } from '@flasktoria/warehouse/profile-check'
import { refreshStatements, type TableProfile } from '@flasktoria/warehouse/table-profile'
import type { Warehouse } from '@flasktoria/warehouse/warehouse'
import type { Hs2Warehouse, StatementReport } from '@flasktoria/warehouse/warehouse-hs2'
import type { Config } from './config.ts'
import { TableCheck } from './table-check.ts'

/** Until then a session may not see files that were written since; the recent window covers far more. */
const refreshEveryMs = 5_000

/** At most: the costs of a vehicle take three. */
const statementsPerRequest = 3

/** What is left of a question's time for its answer after the longest wait for a turn. */
const answerShare = 0.2

/** Spark compiles itself at its first statement. */
const describeWithinMs = 60_000
/** As long as they are not as the profile says. */
const checkTablesEveryMs = 15_000

/** A server that takes longer is used when it answers: live answers need none, and are not kept waiting. */
const waitForFirstMs = 1_000

/** The warehouse that the configuration names, if any. An engine's driver is loaded only where it is used. */
export async function openWarehouse(config: Config, metrics: Metrics, logger: Logger): Promise<Warehouse | undefined> {
  if (config.WAREHOUSE === 'none') return undefined
  if (config.WAREHOUSE === 'duckdb') {
    const { createDuckdbWarehouse } = await import('@flasktoria/warehouse/warehouse-duckdb')
    const { HISTORY_DIR: directory, DUCKDB_MEMORY_MB: memoryLimitMb } = config
    return createDuckdbWarehouse({ directory, memoryLimitMb })
  }
  const { createHs2Warehouse } = await import('@flasktoria/warehouse/warehouse-hs2')
  const { TABLE_PROFILE: profile, HS2_CONNECTIONS, MAX_HISTORY_REQUESTS, QUERY_DEADLINE_MS } = config
  const warehouse = await createHs2Warehouse({
    url: config.HS2_URL,
    waitForFirstMs,
    connectionsPerServer: HS2_CONNECTIONS,
    maxWaiters: MAX_HISTORY_REQUESTS * statementsPerRequest,
    maxWaitMs: QUERY_DEADLINE_MS * (1 - answerShare),
    refresh: { statements: (dialect) => refreshStatements(dialect, profile), everyMs: refreshEveryMs },
    onStatement: countStatements(metrics, logger),
  })
  showPool(metrics, warehouse)
  return withTableCheck(warehouse, profile, logger)
}

/** The warehouse, which also tells when its tables are not as the profile says. */
function withTableCheck(warehouse: Warehouse, profile: TableProfile, logger: Logger): Warehouse {
  const look = (signal: AbortSignal) => profileMistakes(warehouse, profile, { signal, deadlineMs: describeWithinMs })
  const check = new TableCheck(look, logger, checkTablesEveryMs)
  return {
    get dialect() {
      return warehouse.dialect
    },
    query: (sql, options) => warehouse.query(sql, options),
    execute: (sql, options) => warehouse.execute(sql, options),
    failing: () => warehouse.failing() ?? check.failing(),
    async close() {
      await check.close()
      await warehouse.close()
    },
  }
}

function countStatements(metrics: Metrics, logger: Logger): (report: StatementReport) => void {
  const statements = metrics.counter('warehouse_statements_total', 'Statements, by how they ended', ['outcome'])
  const seconds = metrics.histogram(
    'warehouse_phase_seconds',
    'Time of statements: for a connection, for planning, for the result, for its rows',
    [0.005, 0.02, 0.1, 0.5, 2, 10, 30],
    ['phase'],
  )
  return (report) => {
    statements.inc({ outcome: report.outcome })
    seconds.observe({ phase: 'queue' }, report.queueMs / 1_000)
    seconds.observe({ phase: 'execute' }, report.executeMs / 1_000)
    seconds.observe({ phase: 'wait' }, report.waitMs / 1_000)
    seconds.observe({ phase: 'fetch' }, report.fetchMs / 1_000)
    logger.debug(report, 'a statement ended')
  }
}

const showPool = (metrics: Metrics, warehouse: Hs2Warehouse) =>
  metrics.gauge(
    'warehouse_pool',
    'Connections by state, waiters, and servers left alone',
    ['state'],
    function collect() {
      for (const [state, count] of Object.entries(warehouse.usage())) this.set({ state }, count)
    },
  )
