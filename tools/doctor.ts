// npm run doctor: looks at everything that the services would use, and says what is wrong and what to change.
import { parseArgs } from 'node:util'
import { resolve } from 'node:path'
import { examine, type Environment } from './doctor/examine.ts'
import { areas, exitCodes, linesOf, type Area } from './doctor/report.ts'
import { stackEnvironment } from './doctor/stack-environment.ts'
import { Sentence } from './servers/run.ts'

const usage = `npm run doctor -- [--only ${areas.join(',')}] [--json] [--stack [--dir ./var/stack]]`

type Options = { only: ReadonlySet<Area>; isJson: boolean; environment: Environment }

const isArea = (word: string): word is Area => (areas as readonly string[]).includes(word)

function readOptions(): Options {
  const options = {
    only: { type: 'string', default: areas.join(',') },
    json: { type: 'boolean', default: false },
    stack: { type: 'boolean', default: false },
    dir: { type: 'string', default: 'var/stack' },
  } as const
  let values
  try {
    ;({ values } = parseArgs({ options }))
  } catch (error) {
    throw new Sentence(`${error instanceof Error ? error.message : String(error)}\n${usage}`, { cause: error })
  }
  const words = values.only.split(',').map((word) => word.trim())
  const stranger = words.find((word) => !isArea(word))
  if (stranger !== undefined) throw new Sentence(`--only takes ${areas.join(', ')}, not ${stranger}\n${usage}`)
  const environment = values.stack ? { ...process.env, ...stackEnvironment(resolve(values.dir)) } : process.env
  return { only: new Set(words.filter(isArea)), isJson: values.json, environment }
}

try {
  const { only, isJson, environment } = readOptions()
  const report = await examine(environment, only)
  if (isJson) console.log(JSON.stringify(report, null, 2))
  else for (const line of linesOf(report)) console.log(line)
  process.exitCode = exitCodes[report.verdict]
} catch (error) {
  console.error(error instanceof Sentence ? `flasktoria: ${error.message}` : error)
  process.exitCode = 2
}
// What did not answer in time may still hold a socket.
process.stdout.write('', () => process.exit())
