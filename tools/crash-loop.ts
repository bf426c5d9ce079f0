// npm run crash-loop -- [--kills N] [--seed N] [--keep]: kills ingest, Redis and Kafka under traffic, and counts what came of it.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { runCrashLoop } from './crash-loop/run.ts'
import { ensureTools } from './servers/packages.ts'
import { say, Sentence } from './servers/run.ts'

const usage = 'usage: npm run crash-loop -- [--kills N] [--seed N] [--keep]'

function readOptions() {
  const { values } = parseArgs({
    options: {
      kills: { type: 'string', default: '200' },
      seed: { type: 'string', default: String(Date.now() & 0x7fff_ffff) },
      keep: { type: 'boolean', default: false },
    },
  })
  const [kills, seed] = [Number(values.kills), Number(values.seed)]
  if (!Number.isInteger(kills) || kills < 1 || !Number.isInteger(seed)) throw new Sentence(usage)
  return { kills, seed, isKept: values.keep }
}

async function main(): Promise<boolean> {
  const { kills, seed, isKept } = readOptions()
  await ensureTools('redis', 'java', 'maven')
  const dir = mkdtempSync(join(tmpdir(), 'flasktoria-crash-loop-'))
  say(`crash loop: seed ${seed}, logs in ${join(dir, 'log')}`)
  const interrupted = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.once(name, () => interrupted.abort(new Sentence('the crash loop was interrupted')))
  const { faults, ...report } = await runCrashLoop({ dir, kills, seed, say, signal: interrupted.signal })
  console.log(JSON.stringify({ seed, ...report }, undefined, 2))
  for (const fault of faults) console.log(`wrong: ${fault}`)
  console.log(`crash loop: seed ${seed}, ${report.ingestKills} kills, ${faults.length === 0 ? 'exact' : 'not exact'}`)
  if (faults.length === 0 && !isKept) rmSync(dir, { recursive: true, force: true })
  else say(`the logs are in ${join(dir, 'log')}`)
  return faults.length === 0
}

try {
  if (!(await main())) process.exitCode = 1
} catch (error) {
  console.error(error instanceof Sentence ? `flasktoria: ${error.message}` : error)
  process.exitCode = 1
}
