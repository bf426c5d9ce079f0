// Writes a simulated fleet into Kafka, so that everything behind it runs as it does with a real one; or only shows its records.
import { ConfigError } from '@flasktoria/service-kit/config'
import { createLogger, type Logger } from '@flasktoria/service-kit/logger'
import { runService } from '@flasktoria/service-kit/run-service'
import { kafkaAccess, simulateOptionNames, simulateSchema, type SimulateConfig } from './config.ts'
import { createKafkaWriter } from './kafka-writer.ts'
import { environmentOf, usage } from './simulate-options.ts'
import { simulate, summary, type Pace, type SimulatorTarget } from './simulate-run.ts'
import { createLinesTarget, createNullTarget, type Addresses } from './simulate-targets.ts'
import { vehicleNames } from './simulator-fleet.ts'

type Overrides = { logger?: Logger; target?: SimulatorTarget }

/** Where nobody compares event times with a clock they may be any; and the same every time. */
const anyStart = Date.UTC(2026, 0, 1)

export function start(config: SimulateConfig, overrides: Overrides = {}) {
  const logger = overrides.logger ?? createLogger('simulate', config.LOG_LEVEL)
  const addresses = addressesOf(config)
  const stopping = new AbortController()
  const target = overrides.target ?? createTarget(config, addresses, { logger, onGone: () => stopping.abort() })
  const { SIMULATOR_VEHICLES: vehicles, SIMULATOR_SEED: seed, SIMULATOR_DURATION: durationMs = Infinity } = config
  const ended = simulate(
    {
      fleet: { vehicles, seed, reportEverySeconds: config.SIMULATOR_EVERY, beginHour: config.SIMULATOR_HOUR },
      form: { producer: config.SIMULATOR_PRODUCER, envelope: config.SIMULATOR_ENVELOPE },
      dirt: config.SIMULATOR_DIRT,
      pace: paceOf(config),
      startTs: startOf(config),
      durationMs,
    },
    target,
    stopping.signal,
  )
  logger.info({ vehicles, seed, to: config.SIMULATOR_TO.kind, topics: addresses.topics }, 'the simulated fleet drives')
  return Promise.resolve({
    /** Rejects when the records can't be written. */
    ended,
    [Symbol.asyncDispose]: async () => {
      stopping.abort()
      await ended.catch(() => {})
      await target.close()
    },
  })
}

const paceOf = ({ SIMULATOR_RATE: rate, SIMULATOR_SPEED: speed = 1 }: SimulateConfig): Pace => {
  if (rate === undefined) return { speed }
  return rate === 'max' ? rate : { rate }
}

/** What is to be shown faster than it happens ends now, if it ends; else it would come out of the future. */
function startOf(config: SimulateConfig): number {
  if (config.SIMULATOR_START !== undefined) return config.SIMULATOR_START
  if (config.SIMULATOR_TO.kind !== 'kafka') return anyStart
  const pace = paceOf(config)
  const { SIMULATOR_DURATION: durationMs = 0 } = config
  const takesMs = typeof pace === 'object' && 'speed' in pace ? durationMs / pace.speed : 0
  return Date.now() - Math.max(0, durationMs - takesMs)
}

function addressesOf(config: SimulateConfig): Addresses {
  const { SIMULATOR_PRODUCER: producer } = config
  const first = (name: 'SENSOR_TOPICS' | 'SENSOR_V5_TOPICS' | 'ANOMALY_TOPICS', stream: string): string => {
    const [topic] = config[name].names
    if (topic !== undefined) return topic
    if (config.SIMULATOR_TO.kind !== 'kafka') return stream
    throw new ConfigError(`${name}: the simulator needs the name of a topic here`)
  }
  return {
    topics: [
      producer === 'sensor-v5' ? undefined : first('SENSOR_TOPICS', 'sensor'),
      producer === 'sensor' ? undefined : first('SENSOR_V5_TOPICS', 'sensor-v5'),
      first('ANOMALY_TOPICS', 'anomaly'),
    ],
    keys: config.SIMULATOR_KEYS ? vehicleNames(config.SIMULATOR_VEHICLES) : undefined,
  }
}

type Surroundings = { logger: Logger; onGone: () => void }

function createTarget(config: SimulateConfig, addresses: Addresses, { logger, onGone }: Surroundings): SimulatorTarget {
  const { SIMULATOR_TO: to } = config
  if (to.kind === 'null') return createNullTarget()
  if (to.kind === 'stdout') return createLinesTarget(process.stdout, addresses, onGone)
  const access = kafkaAccess(config)
  return createKafkaWriter({ ...access, brokers: to.brokers ?? access.brokers }, addresses, logger)
}

async function startAndSay(config: SimulateConfig) {
  const simulation = await start(config)
  const said = simulation.ended.then((tally) => {
    process.stderr.write(`simulate: ${summary(tally, config.SIMULATOR_VEHICLES)}\n`)
    return undefined
  })
  return {
    ended: said,
    [Symbol.asyncDispose]: async () => {
      await simulation[Symbol.asyncDispose]()
      await said.catch(() => {})
    },
  }
}

if (import.meta.main) {
  const args = process.argv.slice(2)
  if (args.includes('--help')) process.stdout.write(usage)
  else await runService(simulateSchema, simulateOptionNames, startAndSay, () => environmentOf(args))
}
