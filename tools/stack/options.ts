import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { Sentence } from '../servers/run.ts'

const usage = `npm run stack -- up|down|status [--port 8080] [--dir ./var/stack] [--tables own|legacy] [--simulate VEHICLES]`

export type StackOptions = {
  command: 'up' | 'down' | 'status'
  port: number
  dir: string
  tables: 'own' | 'legacy'
  /** How many simulated vehicles report; 0: the topics are silent. */
  simulate: number
}

function integer(name: string, text: string, least: number, most: number): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= least && value <= most) return value
  throw new Sentence(`--${name} takes a whole number from ${least} to ${most}, not ${text}`)
}

/** @throws Sentence */
export function readOptions(args: string[]): StackOptions {
  const options = {
    port: { type: 'string', default: '8080' },
    dir: { type: 'string', default: 'var/stack' },
    tables: { type: 'string', default: 'own' },
    simulate: { type: 'string', default: '0' },
  } as const
  let parsed
  try {
    parsed = parseArgs({ args, options, allowPositionals: true })
  } catch (error) {
    throw new Sentence(`${error instanceof Error ? error.message : String(error)}\n${usage}`)
  }
  const { positionals, values } = parsed
  const [command] = positionals
  if (positionals.length !== 1 || (command !== 'up' && command !== 'down' && command !== 'status'))
    throw new Sentence(usage)
  if (values.tables !== 'own' && values.tables !== 'legacy')
    throw new Sentence(`--tables takes own or legacy, not ${values.tables}`)
  return {
    command,
    port: integer('port', values.port, 1024, 65_535),
    dir: resolve(values.dir),
    tables: values.tables,
    simulate: integer('simulate', values.simulate, 0, 100_000),
  }
}
