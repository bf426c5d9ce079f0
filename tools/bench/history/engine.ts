import { legacyTableStatements } from '@flasktoria/warehouse/history-layout'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { executeHs2 } from '../../servers/hs2-client.ts'
import { say } from '../../servers/run.ts'

/** Where every contestant finds the rows, and the Python of some. */
export type Place = { url: string; host: string; port: number; duckdb: string; python: string }

/** A time, two ids and a labelled text: what the old sensor table has. */
export const rowsSql = (rows: number) => `SELECT ts, sensor, uuid, value FROM bench_rows WHERE id < ${rows}`
export const smallSql = `SELECT ts, value FROM bench_rows WHERE uuid = 'veh-0007' AND ts BETWEEN 1490000000000 AND 1490000600000`

/** One vehicle that reports four sensors. */
export const questionOf = (rows: number) => ({
  rows,
  vehicle: 'veh-0001',
  sensors: ['pid_0_mode_1', 'pid_1_mode_1', 'pid_2_mode_1', 'pid_3_mode_1'],
  from: 1_490_000_000_000,
  to: 1_490_000_000_000 + rows * 37,
})
export type Question = ReturnType<typeof questionOf>

/** The folder of the rows that DuckDB reads. */
export const duckdbFolder = (dir: string) => join(dir, 'history')

const sensor = "concat('pid_', cast(id % 11 AS STRING), '_mode_1')"
const vehicle = "concat('veh-', lpad(cast(id % 1000 AS STRING), 4, '0'))"

/** Writes all tables of the benchmark. */
export async function fillEngine(
  { url, dir }: { url: string; dir: string },
  { rows, duckdbRows, question }: { rows: number; duckdbRows: number; question: Question },
): Promise<void> {
  say(`writing ${rows} rows …`)
  const sensorFolder = join(duckdbFolder(dir), 'sensor', 'day=20170320')
  mkdirSync(sensorFolder, { recursive: true })
  const values = "concat('value: ', cast((id % 5000) / 8 AS STRING))"
  await executeHs2(url, ({ dialect }) => [
    `CREATE TABLE bench_rows USING parquet AS SELECT id, 1490000000000 + id * 37 AS ts, ${sensor} AS sensor, ${vehicle} AS uuid, ` +
      `${values} AS value FROM range(0, ${rows}, 1, 2)`,
    ...legacyTableStatements(dialect),
    `INSERT INTO sensor SELECT cast(${question.from} + id * 37 AS STRING), concat('pid_', cast(id % 4 AS STRING), '_mode_1'), ` +
      `'${question.vehicle}', ${values} FROM range(0, ${question.rows}, 1, 2)`,
    `INSERT OVERWRITE DIRECTORY 'file://${sensorFolder}' USING parquet SELECT ${vehicle} AS uuid, ${sensor} AS sensor, ` +
      `1490000000000 + id * 37 AS ts, (id % 5000) / 8 AS value, cast(NULL AS STRING) AS text, cast(NULL AS DOUBLE) AS lat, ` +
      `cast(NULL AS DOUBLE) AS long FROM range(0, ${duckdbRows}, 1, 1)`,
  ])
}
