// npm run schemathesis -- [--examples N] [--seed N]: asks the REST API whatever its specification allows, and more, and holds the answers against it.
import { configSchema, optionNames } from '@flasktoria/query-api/config'
import { start } from '@flasktoria/query-api/main'
import { readConfig } from '@flasktoria/service-kit/config'
import { createMemoryLog } from '@flasktoria/live-log/log-memory'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { writeFleetHistory } from '@flasktoria/warehouse/test-fleet'
import { pythonWith } from './servers/python.ts'
import { say, Sentence } from './servers/run.ts'

const requirements = ['schemathesis==4.32.5']
const checks = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_schema_conformance',
  'response_headers_conformance',
]

function readOptions() {
  const { values } = parseArgs({
    options: { examples: { type: 'string', default: '50' }, seed: { type: 'string', default: '1' } },
  })
  return values
}

async function main(): Promise<number> {
  const { examples, seed } = readOptions()
  const python = await pythonWith(requirements[0]!, requirements)
  await using cleanup = new AsyncDisposableStack()
  const directory = mkdtempSync(join(tmpdir(), 'flasktoria-schemathesis-'))
  cleanup.defer(() => rmSync(directory, { recursive: true, force: true }))
  await writeFleetHistory({ directory, days: 3, vehicles: 20, rowsPerDay: 2_000 })
  const environment = { PORT: '0', LOG_LEVEL: 'warn', WAREHOUSE: 'duckdb', HISTORY_DIR: directory }
  const { url } = cleanup.use(
    await start(readConfig(configSchema, environment, optionNames), { reader: createMemoryLog() }),
  )
  const asked = ['--checks', checks.join(','), '--max-examples', examples, '--seed', seed, '--no-color']
  say(`schemathesis asks ${url}`)
  const child = spawn(python, [join(dirname(python), 'st'), 'run', `${url}/api/openapi.json`, ...asked], {
    cwd: directory,
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  const [code] = await once(child, 'exit')
  return Number(code ?? 1)
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(error instanceof Sentence ? `flasktoria: ${error.message}` : error)
  process.exitCode = 1
}
