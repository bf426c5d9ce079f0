import { ConfigError } from '@flasktoria/service-kit/config'
import { parsed } from '@flasktoria/service-kit/options'
import { parseArgs, type ParseArgsConfig } from 'node:util'
import { z } from 'zod'
import { envelopes, producers } from './encode-fleet.ts'

const unitMs: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

function parseDuration(text: string): number {
  const [, number, unit = 's'] = /^(\d+(?:\.\d+)?)([smhd])?$/.exec(text) ?? []
  if (number === undefined || Number(number) === 0) throw new SyntaxError('is no duration, such as 90s, 10m, 2h or 1d')
  return Number(number) * unitMs[unit]!
}

type Target = { kind: 'kafka'; brokers?: string[] } | { kind: 'stdout' } | { kind: 'null' }

function parseTarget(text: string): Target {
  if (text === 'stdout' || text === 'null') return { kind: text }
  if (text === 'kafka') return { kind: text }
  const brokers = /^kafka:\/\/([^/]+)\/?$/.exec(text)?.[1]?.split(',')
  if (!brokers?.every((broker) => /^[^\s:]+:\d+$|^\[[\da-fA-F:]+\]:\d+$/.test(broker)))
    throw new SyntaxError('is neither kafka://host:port[,host:port], nor kafka (KAFKA_BROKERS), stdout or null')
  return { kind: 'kafka', brokers }
}

const number = (low: number, high: number) => z.coerce.number().min(low).max(high)
const whole = (fallback: number, low: number, high: number, description: string) =>
  z.coerce.number().int().min(low).max(high).default(fallback).meta({ description })

/** Which fleet. */
export const fleetOptions = {
  SIMULATOR_VEHICLES: whole(50, 1, 100_000, 'Vehicles of the simulated fleet.'),
  SIMULATOR_SEED: whole(1, 0, 2 ** 31, 'The same seed gives the same fleet.'),
}

/** What its records look like, and where they go. */
export const simulateOptions = {
  SIMULATOR_TO: z.string().default('kafka').transform(parsed(parseTarget)).meta({
    description:
      'Where records go: `kafka://host:port`, `kafka` (KAFKA_BROKERS), `stdout` (a line of JSON each, the value in base64) or `null`.',
  }),
  SIMULATOR_SPEED: number(0.001, 100_000)
    .optional()
    .meta({ description: 'How many times faster than the clock the fleet lives; by default 1.' }),
  SIMULATOR_RATE: z
    .union([z.literal('max'), number(1, 10_000_000)], 'is neither a number nor max')
    .optional()
    .meta({ description: 'Instead of a speed: records a second, or `max`.' }),
  SIMULATOR_DURATION: z.string().transform(parsed(parseDuration)).optional().meta({
    description: 'How much of its life the fleet shows, such as `90s`, `10m`, `2h`, `1d`; by default all of it.',
  }),
  SIMULATOR_START: z.iso
    .datetime({ offset: true })
    .transform((text) => Date.parse(text))
    .optional()
    .meta({
      description:
        'Event time of the first records (ISO 8601); by default now, or 2026-01-01T00:00:00Z for `stdout` and `null`.',
    }),
  SIMULATOR_HOUR: number(0, 24)
    .default(8)
    .meta({ description: 'The time of day in the town when it begins; few vehicles drive at night.' }),
  SIMULATOR_EVERY: whole(1, 1, 3_600, 'Seconds between the reports of a vehicle that is under way.'),
  SIMULATOR_KEYS: z
    .stringbool()
    .default(true)
    .meta({ description: 'Whether records have the vehicle as their key, which keeps each in one partition.' }),
  SIMULATOR_PRODUCER: z.enum(producers).default('sensor').meta({
    description:
      'Whose records: `sensor` (six fields), `sensor-v5` (the older five, time as text, into SENSOR_V5_TOPICS) or `both`.',
  }),
  SIMULATOR_ENVELOPE: z
    .enum(envelopes)
    .default('none')
    .meta({ description: "PNDA's envelope around each record: `source`, `host-ip` (src and host_ip) or `none`." }),
  SIMULATOR_DIRT: number(0, 1).default(0).meta({
    description:
      'Share of records with something wrong, from 0 to 1: garbage, flipped bits, twice, late, in the future, no number, at 0,0, far away.',
  }),
}

/** Mistakes that only several options together show. */
export function checkSimulate(
  config: z.output<z.ZodObject<typeof simulateOptions>>,
  complain: (name: string, message: string) => void,
): void {
  if (config.SIMULATOR_SPEED !== undefined && config.SIMULATOR_RATE !== undefined)
    complain('SIMULATOR_RATE', 'stands beside SIMULATOR_SPEED: only one of them can say how fast')
}

const all = { ...fleetOptions, ...simulateOptions }
const argumentOf = (name: string) => name.replace('SIMULATOR_', '').toLowerCase()
const flags = { keyed: 'true', keyless: 'false' }
/** Arguments that are said by a flag each. */
const valueNames = Object.keys(all).filter((name) => name !== 'SIMULATOR_KEYS')

export const usage = `usage: npm run simulate -- [options]

${valueNames.map((name) => `  --${argumentOf(name).padEnd(10)} ${describe(name)}`).join('\n')}
  --keyed, --keyless
             ${describe('SIMULATOR_KEYS')}

Each is also a variable: --speed is SIMULATOR_SPEED. KAFKA_… say how to reach and to log in to Kafka, SENSOR_TOPICS,
SENSOR_V5_TOPICS and ANOMALY_TOPICS which topics: the first of each.
`

function describe(name: string): string {
  return all[name as keyof typeof all].meta()?.description ?? ''
}

/** The command line as variables. @throws ConfigError with the usage */
export function environmentOf(args: string[]): Record<string, string> {
  const values = parse(args)
  const environment: Record<string, string> = {}
  for (const name of valueNames) {
    const value = values[argumentOf(name)]
    if (typeof value === 'string') environment[name] = value
  }
  if (values['keyed'] && values['keyless']) throw new ConfigError(`--keyed and --keyless exclude each other\n${usage}`)
  for (const [flag, value] of Object.entries(flags)) if (values[flag]) environment['SIMULATOR_KEYS'] = value
  return environment
}

function parse(args: string[]) {
  const options: ParseArgsConfig['options'] = { 'check-config': { type: 'boolean' } }
  for (const name of valueNames) options[argumentOf(name)] = { type: 'string' }
  for (const flag of Object.keys(flags)) options[flag] = { type: 'boolean' }
  try {
    return parseArgs({ args, options }).values
  } catch (cause) {
    throw new ConfigError(`${cause instanceof Error ? cause.message : String(cause)}\n${usage}`, { cause })
  }
}
