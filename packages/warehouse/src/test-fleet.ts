import { defaultSensors } from '@flasktoria/contracts/catalogue'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { dayDirectory, dayOf, fileName, historyTables } from './history-layout.ts'
import { createDuckdbWarehouse } from './warehouse-duckdb.ts'

export const dayMs = 86_400_000
export const fleetSensors = defaultSensors.map(({ id }) => id)
export type FleetHistory = { directory: string; days: number; vehicles: number; rowsPerDay: number }

/** The last of the days. */
export const lastDay = Date.UTC(2026, 10, 24)
/** It reports its speed each second of the last day. */
export const busyVehicle = 'veh-busy'
export const quietVehicle = 'veh-0007'

/** Days of a fleet as the history writer keeps them once they are merged: a sorted file a day. */
export async function writeFleetHistory({ directory, days, vehicles, rowsPerDay }: FleetHistory): Promise<void> {
  const warehouse = await createDuckdbWarehouse({ directory, memoryLimitMb: 1_024 })
  const { text } = warehouse.dialect
  const readings = Math.ceil(rowsPerDay / vehicles)
  try {
    for (let index = 0; index < days; index++) {
      const start = lastDay - (days - 1 - index) * dayMs
      const folder = join(directory, historyTables.sensor.directory, dayDirectory(dayOf(start)))
      mkdirSync(folder, { recursive: true })
      const file = join(folder, fileName({ stream: 'raw-0', first: index * 1e7, last: (index + 1) * 1e7 - 1 }))
      const fleet =
        `SELECT printf('veh-%04d', v) AS uuid, list_extract([${fleetSensors.map(text).join(', ')}], 1 + k % ${fleetSensors.length}) AS sensor, ` +
        `${start} + k * ${Math.floor(dayMs / readings)} + v AS ts, round(50 + 40 * sin(k + v), 2) AS value ` +
        `FROM range(${vehicles}) a(v), range(${readings}) b(k)`
      const busy = `SELECT ${text(busyVehicle)}, 'pid_13_mode_1', ${start} + k * 1000, round(50 + 40 * sin(k / 600), 2) FROM range(86400) b(k)`
      const rows = start === lastDay ? `${fleet} UNION ALL ${busy}` : fleet
      await warehouse.execute(
        `COPY (SELECT uuid, sensor, ts, value, value::VARCHAR AS text, NULL::DOUBLE AS lat, NULL::DOUBLE AS long FROM (${rows}) ` +
          `ORDER BY uuid, sensor, ts) TO ${text(file)} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 20480)`,
        { signal: AbortSignal.timeout(60_000), deadlineMs: 60_000 },
      )
    }
  } finally {
    await warehouse.close()
  }
}
