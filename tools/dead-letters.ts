// npm run dead-letters: looks at the records that kafka-ingest could not use, and sends them again.
import { configSchema, optionNames, topicRules } from '@flasktoria/kafka-ingest/config'
import { openRedisDeadLetters } from '@flasktoria/kafka-ingest/dead-letters-redis'
import { ConfigError, readConfig } from '@flasktoria/service-kit/config'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { isWanted, lineOf, pageOf, tally } from './dead-letters/letters.ts'
import { replay } from './dead-letters/replay.ts'
import { stackEnvironment } from './doctor/stack-environment.ts'
import { Sentence } from './servers/run.ts'

const usage = `npm run dead-letters -- list|show|replay [--topic T] [--reason R] [--limit N] [--stack [--dir ./var/stack]]`
const commands = ['list', 'show', 'replay'] as const
const shown = 10

function readOptions() {
  const options = {
    topic: { type: 'string' },
    reason: { type: 'string' },
    limit: { type: 'string' },
    stack: { type: 'boolean', default: false },
    dir: { type: 'string', default: 'var/stack' },
  } as const
  let parsed
  try {
    parsed = parseArgs({ options, allowPositionals: true })
  } catch (error) {
    throw new Sentence(`${error instanceof Error ? error.message : String(error)}\n${usage}`, { cause: error })
  }
  const { values, positionals } = parsed
  const command = commands.find((name) => name === positionals[0])
  if (!command || positionals.length > 1) throw new Sentence(`usage: ${usage}`)
  const limit = values.limit === undefined ? undefined : Number(values.limit)
  if (limit !== undefined && !(Number.isInteger(limit) && limit > 0)) throw new Sentence('--limit takes a whole number')
  const environment = values.stack ? { ...process.env, ...stackEnvironment(resolve(values.dir)) } : process.env
  return { command, limit, wish: { topic: values.topic, reason: values.reason }, environment }
}

async function main(): Promise<number> {
  const { command, limit, wish, environment } = readOptions()
  const config = readConfig(configSchema, { ...environment, SOURCE: 'kafka' }, optionNames)
  if (config.REDIS_URL === undefined) throw new Sentence('REDIS_URL names no Redis: dead letters are kept there')
  if (config.SOURCE !== 'kafka') throw new Sentence('letters go back to Kafka')
  await using shelf = await openRedisDeadLetters(config.REDIS_URL)
  const wanted = (await shelf.read()).filter(({ letter }) => isWanted(letter, wish))
  if (command === 'replay') return await replay(wanted.slice(0, limit), shelf, config, wish)
  const rules = topicRules(config, config.TEXT_TIME_ZONE)
  if (command === 'show') {
    for (const { letter } of wanted.slice(0, limit ?? 1)) console.log(`${pageOf(letter, rules).join('\n')}\n`)
    return 0
  }
  for (const [kind, times] of tally(wanted.map(({ letter: { topic, reason } }) => `${topic}  ${reason}`)))
    console.log(`${String(times).padStart(7)}  ${kind}`)
  console.log(`${wanted.length} dead letters${wanted.length > 0 ? '; the newest:' : ''}`)
  for (const { letter } of wanted.slice(0, limit ?? shown)) console.log(lineOf(letter, rules))
  return 0
}

try {
  process.exitCode = (await main()) > 0 ? 1 : 0
} catch (error) {
  const isSentence = error instanceof Sentence || error instanceof ConfigError
  console.error(isSentence ? `flasktoria: ${error.message}` : error)
  process.exitCode = 2
}
