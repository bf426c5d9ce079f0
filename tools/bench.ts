// npm run bench -- hub|ingest|history|history-days|history-writer|rest: measures against peers taken in the same run, and prints the ratios.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { benchHistory } from './bench/history.ts'
import { benchHistoryDays } from './bench/history-days.ts'
import { benchHistoryWriter } from './bench/history-writer.ts'
import { benchHub } from './bench/hub.ts'
import { scenarios } from './bench/hub/scenarios.ts'
import { benchIngest } from './bench/ingest.ts'
import { BadArguments, type Bench } from './bench/measure.ts'
import { benchRest } from './bench/rest.ts'
import { say, Sentence } from './servers/run.ts'

const benches: Record<string, (bench: Bench) => Promise<void>> = {
  hub: benchHub,
  ingest: benchIngest,
  history: benchHistory,
  'history-days': benchHistoryDays,
  'history-writer': benchHistoryWriter,
  rest: benchRest,
}
const usage =
  'usage: npm run bench -- hub [--scenario NAME]… [--seconds N] [--rounds N] [--quick] | ingest|history|history-days|history-writer|rest [--rounds N] [--quick]'

/** A whole number from 1 on. */
function wholeNumber(option: string, text: string): number {
  const number = Number(text)
  if (Number.isInteger(number) && number >= 1) return number
  throw new BadArguments(`--${option} ${text} is no whole number from 1 on`)
}

function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        rounds: { type: 'string' },
        seconds: { type: 'string' },
        scenario: { type: 'string', multiple: true },
        quick: { type: 'boolean', default: false },
      },
    })
  } catch (cause) {
    throw new BadArguments(usage, { cause })
  }
}

async function main(): Promise<void> {
  const { positionals, values } = readArguments()
  const [name = '', ...more] = positionals
  const bench = Object.hasOwn(benches, name) ? benches[name] : undefined
  const isHubOnly = values.seconds !== undefined || values.scenario !== undefined
  if (!bench || more.length > 0 || (isHubOnly && name !== 'hub')) throw new BadArguments(usage)
  const { quick: isQuick, scenario } = values
  const rounds = wholeNumber('rounds', values.rounds ?? (isQuick ? '1' : '3'))
  const seconds = wholeNumber('seconds', values.seconds ?? (isQuick ? '2' : '10'))
  await using cleanup = new AsyncDisposableStack()
  const dir = mkdtempSync(join(tmpdir(), 'flasktoria-bench-'))
  cleanup.defer(() => rmSync(dir, { recursive: true, force: true }))
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void cleanup.disposeAsync().finally(() => process.exit(1)))
  if (isQuick) say('a quick look: the loads are small, and the figures say little')
  await bench({
    dir,
    rounds,
    isQuick,
    seconds,
    scenarios: scenario ?? (isQuick ? ['few-10'] : Object.keys(scenarios)),
    cleanup,
  })
}

try {
  await main()
} catch (error) {
  console.error(error instanceof Sentence ? `flasktoria: ${error.message}` : error)
  process.exitCode = error instanceof BadArguments ? 2 : 1
}
