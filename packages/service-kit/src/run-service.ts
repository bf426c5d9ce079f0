import type { z } from 'zod'
import { readConfig, redact } from './config.ts'
import { runUntilSignal } from './lifecycle.ts'
import type { Metrics } from './metrics.ts'

/**
 * What a service's `main.ts` does when it is the entry: reads the configuration out of the environment, starts, and stops on a
 * signal, or when it ended. With `--check-config` it only prints what it read, without secrets, and ends. What `given` says
 * counts more than the environment.
 */
export const runService = <Schema extends z.ZodType>(
  schema: Schema,
  names: readonly string[],
  start: (config: z.output<Schema>) => Promise<AsyncDisposable & { metrics?: Metrics; ended?: Promise<void> }>,
  given: () => Record<string, string> = () => ({}),
): Promise<void> =>
  runUntilSignal(async () => {
    const config = readConfig(schema, { ...process.env, ...given() }, names)
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
