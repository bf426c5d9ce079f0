import { existsSync, readFileSync } from 'node:fs'
import { z } from 'zod'

/** One message for all mistakes, with the names of the variables. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

type Environment = Record<string, string | undefined>

/**
 * Reads a service's configuration from the environment. `NAME_FILE` beside any `NAME` of the schema holds a path whose
 * content is the value (secrets). An empty variable counts as absent.
 * @throws ConfigError
 */
export function readConfig<Schema extends z.ZodType>(
  schema: Schema,
  environment: Environment,
  names: readonly string[],
): z.output<Schema> {
  const input: Environment = {}
  const mistakes: string[] = []
  for (const name of names) {
    const path = environment[`${name}_FILE`]
    if (environment[name]) input[name] = environment[name]
    else if (path && existsSync(path)) input[name] = readFileSync(path, 'utf8').trim()
    else if (path) mistakes.push(`${name}_FILE: there is no file ${path}`)
  }
  const result = schema.safeParse(input)
  if (!result.success)
    mistakes.push(...result.error.issues.map((issue) => `${issue.path.join('.') || 'configuration'}: ${issue.message}`))
  if (mistakes.length > 0 || !result.success)
    throw new ConfigError(`The configuration has mistakes:\n  ${mistakes.join('\n  ')}`)
  return result.data
}
