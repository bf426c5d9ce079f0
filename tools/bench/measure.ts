import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, loadavg, release } from 'node:os'
import { Sentence } from '../servers/run.ts'

/** What was asked for can't be: exit code 2. */
export class BadArguments extends Sentence {}

export type Bench = {
  /** A folder of the run's own. */
  dir: string
  rounds: number
  /** Small loads, to see that it runs: the figures say little. */
  isQuick: boolean
  /** How long each measurement of the hub lasts. */
  seconds: number
  /** Of the hub. */
  scenarios: readonly string[]
  /** Undone when the run is over, however it ends. */
  cleanup: AsyncDisposableStack
}

/** Kernel ticks a second, in which /proc counts CPU time. */
const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))

/** User and system CPU time of one process so far, in seconds. */
export function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
}

/** What these cores did for anybody so far, in seconds. */
export const busySeconds = (cores: readonly string[]): number =>
  cores.reduce((sum, core) => {
    const line = new RegExp(`^cpu${core} (.*)$`, 'm').exec(readFileSync('/proc/stat', 'utf8'))?.[1] ?? ''
    const [user, nice, system, _idle, _ioWait, interrupts, softInterrupts] = line.split(' ').map(Number)
    return sum + [user, nice, system, interrupts, softInterrupts].reduce<number>((all, ticks) => all + (ticks ?? 0), 0)
  }, 0) / ticksPerSecond

export const rssMb = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  return sorted.length % 2 === 1 ? sorted[Math.floor(middle)]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** What was measured, by its name. */
export type Figures = Record<string, number>

/** The middle values of several runs, field by field. */
const medians = <Key extends string>(runs: readonly Record<Key, number>[]): Record<Key, number> =>
  Object.fromEntries(
    (Object.keys(runs[0] ?? {}) as Key[]).map((key) => [key, median(runs.map((run) => run[key]))]),
  ) as Record<Key, number>

/** Runs the contestants in turn, `rounds` times: a machine that slows down slows all of them. */
export async function alternate<Name extends string, Key extends string>(
  rounds: number,
  contestants: Record<Name, () => Promise<Record<Key, number>>>,
): Promise<Record<Name, Record<Key, number>>> {
  const names = Object.keys(contestants) as Name[]
  const runs = new Map(names.map((name) => [name, [] as Record<Key, number>[]]))
  for (let round = 1; round <= rounds; round++)
    for (const name of round % 2 === 1 ? names : names.toReversed()) {
      const result = await contestants[name]()
      console.error(`round ${round}/${rounds} ${name}: ${JSON.stringify(result)}`)
      runs.get(name)!.push(result)
    }
  return Object.fromEntries(names.map((name) => [name, medians(runs.get(name)!)])) as Record<Name, Record<Key, number>>
}

export type Result = {
  title: string
  conditions: Record<string, string | number>
  /** Ours first. */
  rows: Record<string, Figures>
  ratios: Record<string, number>
}

const digits = (value: number | undefined) =>
  value === undefined || Number.isNaN(value) ? '–' : Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3)

/** Each row has the columns of the first one, as far as it has them. */
export function printTable(corner: string, rows: Record<string, Figures>): void {
  const columns = Object.keys(Object.values(rows)[0] ?? {})
  console.log(`| ${corner} | ${columns.join(' | ')} |\n|---|${columns.map(() => '---:').join('|')}|`)
  for (const [name, row] of Object.entries(rows))
    console.log(`| ${name} | ${columns.map((column) => digits(row[column])).join(' | ')} |`)
}

export function printResult({ title, conditions, rows, ratios }: Result): void {
  const machine = {
    node: process.version,
    cpu: cpus()[0]?.model ?? '',
    cores: cpus().length,
    kernel: release(),
    load: digits(loadavg()[0] ?? 0),
  }
  console.log(`\n## ${title}\n`)
  printTable('', rows)
  console.log()
  for (const [name, ratio] of Object.entries(ratios)) console.log(`- ${name}: **${digits(ratio)} ×**`)
  const all = Object.entries({ ...conditions, ...machine }).map(([name, value]) => `${name} ${value}`)
  console.log(`\nMedians. ${all.join(', ')}.`)
}
