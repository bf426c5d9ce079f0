import type { z } from 'zod'
import { readConfig, redact } from './config.ts'
import { runUntilSignal } from './lifecycle.ts'
import type { Metrics } from './metrics.ts'

/**
 * What a service's `main.ts` does when it is the entry: reads the configuration out of the environment, starts, and stops on a
 * signal. With `--check-config` it only prints what it read, without secrets, and ends.
 */
export const runService = <Schema extends z.ZodType>(
  schema: Schema,
  names: readonly string[],
  start: (config: z.output<Schema>) => Promise<AsyncDisposable & { metrics?: Metrics }>,
): Promise<void> =>
  runUntilSignal(async () => {
    const config = readConfig(schema, process.env, names)
    if (process.argv.includes('--check-config')) {
      process.stdout.write(`${JSON.stringify(config, redact, 2)}\n`)
      process.exit(0)
    }
    const service = await start(config)
    service.metrics?.collectProcess()
    return service
  })

/** For a failure that only a new start can mend: the supervisor starts the service again, meanwhile others take over. */
export const giveUp = (): never => process.exit(1)
