import { createMemoryLog } from '@flasktoria/live-log/log-memory'
import { configSchema, optionNames } from '@flasktoria/query-api/config'
import { start } from '@flasktoria/query-api/main'
import { readConfig } from '@flasktoria/service-kit/config'
import {
  busyVehicle,
  dayMs,
  fleetSensors,
  lastDay,
  quietVehicle,
  writeFleetHistory,
} from '@flasktoria/warehouse/test-fleet'
import { createDuckdbWarehouse } from '@flasktoria/warehouse/warehouse-duckdb'
import { join } from 'node:path'
import { say } from '../servers/run.ts'
import { alternate, median, printResult, type Bench } from './measure.ts'

const full = { days: 150, vehicles: 2_140, rowsPerDay: 133_333 }
const quick = { ...full, days: 5 }
const questions = 50

/** The same thing many times: what the middle one took, and the CPU time of all threads for each. */
async function repeat(ask: () => Promise<unknown>): Promise<Record<'p50 ms' | 'CPU ms', number>> {
  const times: number[] = []
  const before = process.cpuUsage()
  for (let index = 0; index < questions; index++) {
    const begin = performance.now()
    await ask()
    times.push(performance.now() - begin)
  }
  const { user, system } = process.cpuUsage(before)
  return { 'p50 ms': median(times), 'CPU ms': (user + system) / 1_000 / questions }
}

/** A day of one vehicle among twenty million rows, over HTTP and downsampled, by DuckDB; against an engine that looks for it without the day. */
export async function benchHistoryDays({ dir, rounds, isQuick, cleanup }: Bench): Promise<void> {
  const fleet = isQuick ? quick : full
  const millionRows = Math.round((fleet.days * fleet.rowsPerDay) / 1e5) / 10
  const directory = join(dir, 'history')
  say(`writing ${millionRows} million rows …`)
  await writeFleetHistory({ directory, ...fleet })
  const environment = { PORT: '0', LOG_LEVEL: 'warn', WAREHOUSE: 'duckdb', HISTORY_DIR: directory }
  const { url } = cleanup.use(
    await start(readConfig(configSchema, environment, optionNames), { reader: createMemoryLog() }),
  )
  const warehouse = cleanup.adopt(await createDuckdbWarehouse({ directory }), (it) => it.close())
  const options = { signal: new AbortController().signal, deadlineMs: 60_000, maxRows: 1_000_000 }
  const askHttp = (vehicle: string) => async () => {
    const query = `sensors=${fleetSensors.join(',')}&from=${lastDay}&to=${lastDay + dayMs - 1}&maxPoints=1000`
    const response = await fetch(`${url}/api/v1/vehicles/${vehicle}/history?${query}`)
    if (!response.ok) throw new Error(await response.text())
    await response.arrayBuffer()
  }
  const { text } = warehouse.dialect
  const scan = `SELECT * FROM sensor_history WHERE uuid = ${text(quietVehicle)} AND ts BETWEEN ${lastDay} AND ${lastDay + dayMs - 1}`
  const rows = await alternate(rounds, {
    'a vehicle, 63 rows a day': () => repeat(askHttp(quietVehicle)),
    'a vehicle, 86,400 rows a day': () => repeat(askHttp(busyVehicle)),
    'the same rows, asked without the day': () => repeat(() => Array.fromAsync(warehouse.query(scan, options))),
  })
  const [ours, , without] = Object.values(rows)
  printResult({
    title: `history-days: a day of one vehicle among ${millionRows} million rows, by DuckDB`,
    conditions: { ...fleet, questions, rounds },
    rows,
    ratios: { 'time, without the day / ours': without!['p50 ms'] / ours!['p50 ms'] },
  })
}
