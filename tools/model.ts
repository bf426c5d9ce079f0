// npm run model -- [--runs N] [--seed N] [--path P] [--planted]: what hub.model.test.ts does, as often as you like; a world
// again by its seed and path; or with bugs planted, to see that they are found.
import { parseArgs } from 'node:util'
import { runModel, sources } from './model/run.ts'
import { findPlanted } from './model/planted.ts'
import { Sentence } from './servers/run.ts'

const usage = 'usage: npm run model -- [--runs N] [--seed N] [--path P] [--planted]'

function readOptions() {
  const { values } = parseArgs({
    options: {
      runs: { type: 'string', default: '10000' },
      seed: { type: 'string', default: String(Date.now() & 0x7fff_ffff) },
      path: { type: 'string' },
      planted: { type: 'boolean', default: false },
    },
  })
  const [runs, seed] = [Number(values.runs), Number(values.seed)]
  if (!Number.isInteger(runs) || runs < 1 || !Number.isInteger(seed)) throw new Sentence(usage)
  return { ...values, runs, seed }
}

async function main(): Promise<boolean> {
  const { planted, ...options } = readOptions()
  if (planted) return findPlanted(options)
  const { failure, runs, seconds } = await runModel(sources, options)
  if (failure) console.log(failure)
  console.log(
    `model: seed ${options.seed}, ${runs} runs in ${seconds.toFixed(1)} s${failure ? ', then it failed' : ''}`,
  )
  return !failure
}

try {
  if (!(await main())) process.exitCode = 1
} catch (error) {
  console.error(error instanceof Sentence ? `flasktoria: ${error.message}` : error)
  process.exitCode = 1
}
