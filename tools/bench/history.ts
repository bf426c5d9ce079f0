import { createHs2Warehouse } from '@flasktoria/warehouse/warehouse-hs2'
import { join } from 'node:path'
import { freePort } from '../servers/daemon.ts'
import { startHs2 } from '../servers/hs2.ts'
import { alternate, printResult, type Bench } from './measure.ts'
import { linesOf, measuredCore, runPinned, script } from './processes.ts'

const rows = 200_000
const table = 'bench_sensor'

/** Rows as the old sensor table has them: a time, two ids and a labelled text. */
async function fill(url: string): Promise<void> {
  const warehouse = await createHs2Warehouse({ url })
  try {
    await warehouse.execute(
      `CREATE TABLE ${table} USING parquet AS SELECT 1490000000000 + id * 37 AS ts, concat('pid_', cast(id % 11 AS STRING), '_mode_1') AS sensor, ` +
        `concat('veh-', lpad(cast(id % 1000 AS STRING), 4, '0')) AS uuid, concat('value: ', cast((id % 5000) / 8 AS STRING)) AS value FROM range(0, ${rows}, 1, 2)`,
      { signal: AbortSignal.timeout(120_000), deadlineMs: 120_000 },
    )
  } finally {
    await warehouse.close()
  }
}

type Reading = { rows: number; totalMs: number; cpuMs: number; longestStallMs: number; rssMb: number }

/** One reader in a process of its own, which reads the whole table once and says what that took. */
async function read(url: string, way: string) {
  const reader = runPinned(measuredCore, [script('read-history.ts'), way, url, table])
  try {
    const result: Reading = JSON.parse((await linesOf(reader).next()).value ?? '')
    if (result.rows !== rows) throw new Error(`${way} read ${result.rows} of ${rows} rows`)
    return {
      ms: result.totalMs,
      'CPU ms': result.cpuMs,
      'k rows / CPU-s': result.rows / result.cpuMs,
      'longest stall ms': result.longestStallMs,
      'RSS MB': result.rssMb,
    }
  } finally {
    reader.kill()
  }
}

/** Rows out of a HiveServer2: our adapter against hive-driver as published, with its default and its best fetch size. */
export async function benchHistory({ dir, rounds, cleanup }: Bench): Promise<void> {
  const hs2 = await startHs2({ dir: join(dir, 'hs2'), port: await freePort() })
  cleanup.defer(() => hs2.stop())
  await fill(hs2.url)
  const result = await alternate(rounds, {
    warehouse: () => read(hs2.url, 'warehouse'),
    'hive-driver, fetch size 1,000': () => read(hs2.url, 'stock-1000'),
    'hive-driver, default (100)': () => read(hs2.url, 'stock-100'),
  })
  const { warehouse: ours, 'hive-driver, fetch size 1,000': best, 'hive-driver, default (100)': usual } = result
  printResult({
    title: 'history: rows out of HiveServer2',
    conditions: { rows, columns: 4, engine: 'Spark Thrift Server 3.5.9', rounds },
    rows: result,
    ratios: {
      'CPU, hive-driver by default / ours': usual['CPU ms'] / ours['CPU ms'],
      'CPU, hive-driver at its best / ours': best['CPU ms'] / ours['CPU ms'],
      'time, hive-driver by default / ours': usual['ms'] / ours['ms'],
      'time, hive-driver at its best / ours': best['ms'] / ours['ms'],
    },
  })
}
