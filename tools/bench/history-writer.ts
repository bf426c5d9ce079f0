import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { fewHistoryRecords, historyRecords, partitions } from './history-load.ts'
import { alternate, printResult, type Bench, type Figures } from './measure.ts'
import { linesOf, measuredCore, runPinned, script } from './processes.ts'
import { vehicles } from './typical-records.ts'

async function runProgram(mode: 'write' | 'interpret', dir: string, records: number): Promise<Figures> {
  const folder = mkdtempSync(join(dir, 'history-'))
  const child = runPinned(measuredCore, [script('write-history.ts'), mode, folder, String(records)])
  const { value } = await linesOf(child).next()
  if (value === undefined) throw new Error(`the program that was to ${mode} ended without figures`)
  return JSON.parse(value) as Figures
}

/** Records from memory to sorted Parquet, merges included, against what decoding and validating them costs alone. */
export async function benchHistoryWriter({ dir, rounds, isQuick }: Bench): Promise<void> {
  const records = isQuick ? fewHistoryRecords : historyRecords
  const rows = await alternate(rounds, {
    'history writer': () => runProgram('write', dir, records),
    'decode and validate only': () => runProgram('interpret', dir, records),
  })
  const [ours, least] = [rows['history writer'], rows['decode and validate only']]
  printResult({
    title: 'history-writer: from records to sorted Parquet on the disk',
    conditions: { records, partitions, vehicles, form: 'sensor', rounds },
    rows,
    ratios: { 'CPU per record, all / decode and validate': ours['CPU µs / record']! / least['CPU µs / record']! },
  })
}
