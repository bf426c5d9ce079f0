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
    mistakes.push(
      ...result.error.issues.map(({ path, message }) => `${path.join('.') || 'configuration'}: ${inWords(message)}`),
    )
  if (mistakes.length > 0 || !result.success)
    throw new ConfigError(`The configuration has mistakes:\n  ${mistakes.join('\n  ')}`)
  return result.data
}

/** What zod says of a text that is no number, and of one that is not there, in the words of an environment. */
const inWords = (message: string): string =>
  message
    .replace(/^Invalid input: expected (\w+), received NaN$/, 'is no $1')
    .replace(/^Invalid input: .* received undefined$/, 'is missing')

/** For `JSON.stringify`: hides passwords, also those inside addresses, and shows patterns as they are written. */
export function redact(name: string, value: unknown): unknown {
  if (value instanceof RegExp) return String(value)
  if (typeof value !== 'string') return value
  if (/PASSWORD$|SECRET|TOKEN$|TLS_KEY$/i.test(name)) return '***'
  return value.replaceAll(/(?<=\/\/)[^/@\s]+(?=@)|(?<=[?&]\w*password=)[^&\s]+/gi, '***')
}
