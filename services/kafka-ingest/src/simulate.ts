// Writes a simulated fleet into Kafka, so that everything behind it runs as it does with a real one.
import { ConfigError } from '@flasktoria/service-kit/config'
import { createLogger, type Logger } from '@flasktoria/service-kit/logger'
import { giveUp, runService } from '@flasktoria/service-kit/run-service'
import { kafkaAccess, simulateOptionNames, simulateSchema, type SimulateConfig } from './config.ts'
import { createKafkaWriter } from './kafka-writer.ts'
import { createSimulatorSource } from './source-simulator.ts'

type Overrides = { logger?: Logger; onFatal?: (error: unknown) => void }

export function start(config: SimulateConfig, overrides: Overrides = {}): Promise<AsyncDisposable> {
  const logger = overrides.logger ?? createLogger('simulate', config.LOG_LEVEL)
  const [sensor] = config.SENSOR_TOPICS.names
  const [anomaly] = config.ANOMALY_TOPICS.names
  if (sensor === undefined || anomaly === undefined)
    throw new ConfigError('SENSOR_TOPICS and ANOMALY_TOPICS: the simulator needs the name of a topic in each')
  const writer = createKafkaWriter(kafkaAccess(config), logger)
  const stopping = new AbortController()
  const source = createSimulatorSource({
    vehicles: config.SIMULATOR_VEHICLES,
    seed: config.SIMULATOR_SEED,
    topics: { sensor, anomaly },
  })
  const work = source.run(writer, stopping.signal).catch((error: unknown) => {
    logger.fatal({ err: error }, 'the simulator failed')
    overrides.onFatal?.(error)
  })
  logger.info({ vehicles: config.SIMULATOR_VEHICLES, sensor, anomaly }, 'the simulated fleet drives')
  return Promise.resolve({
    [Symbol.asyncDispose]: async () => {
      stopping.abort()
      await work
      await writer[Symbol.asyncDispose]()
    },
  })
}

if (import.meta.main)
  await runService(simulateSchema, simulateOptionNames, (config) => start(config, { onFatal: giveUp }))
