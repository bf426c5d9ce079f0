// npm run bench -- hub|ingest|history [--rounds N]: measures against a peer taken in the same run, and prints the ratio.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { benchHistory } from './bench/history.ts'
import { benchHub } from './bench/hub.ts'
import { benchIngest } from './bench/ingest.ts'
import type { Bench } from './bench/measure.ts'
import { Sentence } from './servers/run.ts'

const benches: Record<string, (bench: Bench) => Promise<void>> = {
  hub: benchHub,
  ingest: benchIngest,
  history: benchHistory,
}
const usage = `usage: npm run bench -- ${Object.keys(benches).join('|')} [--rounds N]`

async function main(): Promise<void> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { rounds: { type: 'string', default: '3' } },
  })
  const bench = benches[positionals[0] ?? '']
  const rounds = Number(values.rounds)
  if (!bench || positionals.length > 1 || !Number.isInteger(rounds) || rounds < 1) throw new Sentence(usage)
  await using cleanup = new AsyncDisposableStack()
  const dir = mkdtempSync(join(tmpdir(), 'flasktoria-bench-'))
  cleanup.defer(() => rmSync(dir, { recursive: true, force: true }))
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void cleanup.disposeAsync().finally(() => process.exit(1)))
  await bench({ dir, rounds, cleanup })
}

try {
  await main()
} catch (error) {
  console.error(error instanceof Sentence ? `flasktoria: ${error.message}` : error)
  process.exitCode = 1
}
