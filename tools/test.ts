// npm test: sets up the real servers that the chosen tests need, runs the tests, stops the servers, and counts.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { createVitest, parseCLI, type TestModule, type TestRunResult, type Vitest } from 'vitest/node'
import { ensureTools, findTool } from './servers/packages.ts'
import { say, Sentence } from './servers/run.ts'
import { needsOf } from './testing/needs.ts'
import { startTestServers, stopTestServers } from './testing/servers.ts'
import { closingLine, hasFailed, type Skip, type Tally } from './testing/tally.ts'

/** A test says itself why it did not run, unless it never came to that. */
function skipReason(module: TestModule, note: string | undefined): string {
  if (note !== undefined) return note
  if (module.state() === 'failed') return 'the set-up of its file failed'
  return process.env['RECORDINGS_DIR'] ? 'it does not say why' : 'it does not say why; RECORDINGS_DIR is not set'
}

/** The file could not be loaded, or a hook of it failed, and no test of it says so. */
const hasFailedAlone = (module: TestModule) =>
  module.state() === 'failed' && [...module.children.allTests('failed')].length === 0

function count({ testModules, unhandledErrors }: TestRunResult): Tally {
  const skipped: Skip[] = []
  let passed = 0
  let failed = unhandledErrors.length + testModules.filter(hasFailedAlone).length
  for (const module of testModules)
    for (const test of module.children.allTests()) {
      const result = test.result()
      if (result.state === 'passed') passed += 1
      else if (result.state === 'skipped')
        skipped.push({
          title: `${relative('.', module.moduleId)}: ${test.fullName}`,
          reason: skipReason(module, result.note),
        })
      else failed += 1
    }
  return { passed, failed, skipped }
}

async function runTests(vitest: Vitest, filter: string[], cleanup: AsyncDisposableStack): Promise<Tally> {
  const specifications = await vitest.globTestSpecifications(filter)
  const { servers, tools } = needsOf(specifications.map(({ moduleId }) => moduleId))
  await ensureTools(...tools)
  // Tests of a Redis that dies start their own.
  if (tools.has('redis')) process.env['REDIS_SERVER'] = await findTool('redis')
  if (servers.size > 0) {
    const dir = mkdtempSync(join(tmpdir(), 'flasktoria-test-'))
    cleanup.defer(() => rmSync(dir, { recursive: true, force: true }))
    cleanup.defer(async () => void (await stopTestServers(servers, dir)))
    await startTestServers(servers, dir)
  }
  return count(await vitest.start(filter))
}

/** Ctrl-C comes more than once: from the terminal, and from each parent. Vitest's own answer is to exit at once. */
function onSignal(end: () => void) {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.removeAllListeners(signal).on(signal, end)
}

async function main(): Promise<void> {
  const { filter, options } = parseCLI(['vitest', 'run', ...process.argv.slice(2)])
  const isStrict = Boolean(process.env['CI'])
  const cleanup = new AsyncDisposableStack()
  let cleaning: Promise<void> | undefined
  const cleanUp = () => (cleaning ??= cleanup.disposeAsync())
  let tally: Tally = { passed: 0, failed: 1, skipped: [] }
  try {
    const vitest = await createVitest({ ...options, run: true, watch: false })
    onSignal(() => void cleanUp().finally(() => process.exit(1)))
    tally = await runTests(vitest, filter, cleanup).finally(() => vitest.close())
  } catch (error) {
    console.error(error instanceof Sentence ? `flasktoria: ${error.message}` : error)
  } finally {
    await cleanUp()
  }
  for (const { title, reason } of tally.skipped)
    say(`skipped${isStrict ? ', which fails here' : ''}: ${title} (${reason})`)
  // Workers may still write: the closing line comes when everything before it is out.
  await new Promise<void>((resolve) => process.stderr.write('', () => resolve()))
  process.stdout.write(`${closingLine(tally, isStrict)}\n`, () => process.exit(hasFailed(tally, isStrict) ? 1 : 0))
}

await main()
