import { parseHs2Url } from '@flasktoria/warehouse/hs2-url'
import { join } from 'node:path'
import { freePort } from '../servers/daemon.ts'
import { startHs2 } from '../servers/hs2.ts'
import { benchAnswers } from './history/answers.ts'
import { duckdbFolder, fillEngine, questionOf, rowsSql, smallSql, type Place } from './history/engine.ts'
import { pythonWithHs2 } from './history/python.ts'
import { alternate, median, printResult, type Bench, type Figures } from './measure.ts'
import { linesOf, measuredCore, pin, runPinned, script } from './processes.ts'

const engine = 'Spark Thrift Server 3.5.9'

type Load = {
  fewRows: number
  manyRows: number
  /** Small ones, by how many clients ask them at once. */
  questions: Map<number, number>
}
const full: Load = {
  fewRows: 200_000,
  manyRows: 2_000_000,
  questions: new Map([
    [1, 40],
    [8, 160],
    [64, 256],
  ]),
}
const quick: Load = { fewRows: 10_000, manyRows: 50_000, questions: new Map([[8, 16]]) }

async function figuresOf(child: ReturnType<typeof pin>): Promise<Figures & { took?: number[] }> {
  try {
    const { value } = await linesOf(child).next()
    if (value === undefined) throw new Error('a contestant ended without figures')
    return JSON.parse(value)
  } finally {
    child.kill()
  }
}
const node = (name: string, ...args: (string | number)[]) =>
  figuresOf(runPinned(measuredCore, [script(`history/${name}`), ...args.map(String)]))
const inPython = (python: string, ...args: (string | number)[]) =>
  figuresOf(pin(measuredCore, [python, script('history/hs2_peers.py'), ...args.map(String)]))

async function benchRows(
  { url, host, port, duckdb, python }: Place,
  { rows, isSmall, rounds }: { rows: number; isSmall: boolean; rounds: number },
): Promise<void> {
  // The first readings of few rows would measure how long the compilers of V8 take.
  const readings = isSmall ? 3 : 1
  const sql = rowsSql(rows)
  const counted = async (reading: Promise<Figures>) => {
    const { rows: read, ...figures } = await reading
    if (read !== rows) throw new Error(`${read} of ${rows} rows were read`)
    return { 'k rows / CPU-s': rows / figures['CPU ms']!, ...figures }
  }
  const duckdbSql = `SELECT ts, sensor, uuid, value FROM sensor_history LIMIT ${rows}`
  const contestants: Record<string, () => Promise<Figures>> = {
    warehouse: () => counted(node('read-rows.ts', 'warehouse', url, sql, readings)),
    'hive-driver, fetch size 1,000': () => counted(node('read-rows.ts', 'stock-1000', url, sql, readings)),
    ...(isSmall && {
      'hive-driver, default (100)': () => counted(node('read-rows.ts', 'stock-100', url, sql, readings)),
    }),
    impyla: () => counted(inPython(python, 'rows', 'impyla', host, port, sql, readings)),
    PyHive: () => counted(inPython(python, 'rows', 'pyhive', host, port, sql, readings)),
    ...(isSmall && {
      'DuckDB, by our adapter': () => counted(node('read-rows.ts', 'duckdb', duckdb, duckdbSql, readings)),
    }),
  }
  const result = await alternate(rounds, contestants)
  const ours = result['warehouse']!['CPU ms']!
  const peers = Object.entries(result).filter(([name]) => name !== 'warehouse')
  printResult({
    title: `history: ${rows} rows out of HiveServer2`,
    conditions: { rows, columns: 4, engine, rounds, readings },
    rows: result,
    ratios: Object.fromEntries(peers.map(([name, row]) => [`CPU, ours / ${name}`, ours / row['CPU ms']!])),
  })
}

async function summary(asking: Promise<Figures & { took?: number[] }>): Promise<Figures> {
  const { took = [], ms, cpuMs } = await asking
  const sorted = took.toSorted((a, b) => a - b)
  return {
    'p50 ms': median(took),
    'p95 ms': sorted[Math.floor(sorted.length * 0.95)]!,
    'questions / s': took.length / (ms! / 1000),
    'CPU ms / question': cpuMs! / took.length,
  }
}

async function benchSmall(
  { url, host, port, duckdb, python }: Place,
  { clients, count, rounds }: { clients: number; count: number; rounds: number },
): Promise<void> {
  const duckdbSql = smallSql.replace('bench_rows', 'sensor_history')
  const contestants: Record<string, () => Promise<Figures>> = {
    warehouse: () => summary(node('ask-small.ts', 'warehouse', url, smallSql, clients, count)),
    'impyla, a connection for each': () => summary(inPython(python, 'small', host, port, smallSql, clients, count)),
    ...(clients === 1 && {
      'the engine alone': () => summary(node('ask-small.ts', 'engine', url, smallSql, clients, count)),
    }),
    'DuckDB, by our adapter': () => summary(node('ask-small.ts', 'duckdb', duckdb, duckdbSql, clients, count)),
  }
  const result = await alternate(rounds, contestants)
  const ours = result['warehouse']!['p50 ms']!
  const peers = Object.entries(result).filter(([name]) => name !== 'warehouse' && !name.startsWith('DuckDB'))
  printResult({
    title: `history: small questions, ${clients} at once`,
    conditions: { questions: count, engine, connections: 4, rounds },
    rows: result,
    ratios: Object.fromEntries(peers.map(([name, row]) => [`p50, ours / ${name}`, ours / row['p50 ms']!])),
  })
}

/**
 * Out of a HiveServer2, against hive-driver as published, impyla and PyHive: many rows, complete answers, and small questions
 * of several clients. DuckDB reads the same rows beside it.
 */
export async function benchHistory({ dir, rounds, isQuick, cleanup }: Bench): Promise<void> {
  const { fewRows, manyRows, questions } = isQuick ? quick : full
  const python = await pythonWithHs2()
  const hs2 = await startHs2({ dir: join(dir, 'hs2'), port: await freePort(), heapMb: 4096 })
  cleanup.defer(() => hs2.stop())
  const question = questionOf(fewRows)
  await fillEngine({ url: hs2.url, dir }, { rows: manyRows, duckdbRows: fewRows, question })
  const [{ host, port }] = parseHs2Url(hs2.url).endpoints as [{ host: string; port: number }]
  const place: Place = { url: hs2.url, host, port, duckdb: duckdbFolder(dir), python }
  await benchRows(place, { rows: fewRows, isSmall: true, rounds })
  await benchAnswers(place, question, rounds)
  for (const [clients, count] of questions) await benchSmall(place, { clients, count, rounds })
  await benchRows(place, { rows: manyRows, isSmall: false, rounds: 1 })
}
