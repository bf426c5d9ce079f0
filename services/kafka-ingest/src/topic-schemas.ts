import type { Logger } from '@flasktoria/service-kit/logger'
import { avroPayload, parseAvroSchema } from './decode-avro.ts'
import { ProfileError, type FieldReader } from './decode.ts'
import { RegistryRefusal, type RegisteredSchema, type SchemaRegistry } from './schema-registry.ts'
import type { DecodeFailure } from './topic-profile.ts'

/** How long nobody asks again for a schema that the registry does not have. */
const unknownForMs = 10_000
/** Garbage names schemas that do not exist. So many of them are asked for in that time; others count as unknown, unasked. */
const maxUnknown = 50
/** Registries count ids up from 1, in an int. */
const maxId = 2 ** 31 - 1

export type RegistrySchemasOptions = {
  profile: string
  registry: SchemaRegistry
  subjects: readonly string[]
  /** @throws ProfileError when the schema lacks what the mapping needs */
  compile: (schema: ReturnType<typeof avroPayload>) => FieldReader
  now?: () => number
}

/** The writers' schemas of one profile, fetched as records name them. A schema never changes: it is fetched once. */
export class RegistrySchemas {
  readonly #options: RegistrySchemasOptions
  readonly #now: () => number
  readonly #readers = new Map<number, FieldReader | DecodeFailure>()
  /** Until when an id counts as unknown. */
  readonly #unknown = new Map<number, number>()

  constructor(options: RegistrySchemasOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
  }

  failing(): string | undefined {
    return this.#options.registry.failing()
  }

  readerOf = (id: number): FieldReader | DecodeFailure => this.#readers.get(id) ?? 'unknown_schema'

  /** Whether an id has to be fetched before its records can be read or refused. */
  isUnheardOf(id: number): boolean {
    if (this.#readers.has(id) || id === 0 || id > maxId) return false
    const until = this.#unknown.get(id)
    if (until !== undefined && until > this.#now()) return false
    this.#unknown.delete(id)
    if (this.#unknown.size < maxUnknown) return true
    for (const [known, knownUntil] of this.#unknown) if (knownUntil <= this.#now()) this.#unknown.delete(known)
    return this.#unknown.size < maxUnknown
  }

  /**
   * Looks whether the registry lets us in and has subjects with schemas that fit. Waits out a registry that does not answer.
   * @throws ProfileError when the configuration has to change
   */
  async check(signal: AbortSignal, logger: Logger): Promise<void> {
    const { registry, subjects } = this.#options
    await this.#patiently(() => this.#refusing(registry.greet()), signal, logger)
    for (const subject of subjects) {
      // oxlint-disable-next-line no-await-in-loop -- a handful, once
      const found = await this.#patiently(() => this.#refusing(registry.newest(subject)), signal, logger)
      if (!found) throw this.#error(`the schema registry has no subject ${subject}`)
      try {
        this.#compile(found)
      } catch (error) {
        throw this.#error(`subject ${subject}: ${(error as Error).message}`)
      }
    }
  }

  /** Fetches a schema; waits for a registry that does not answer. Rejects only when `signal` aborts. */
  async fetch(id: number, signal: AbortSignal, logger: Logger): Promise<void> {
    if (!this.isUnheardOf(id)) return
    try {
      const found = await this.#patiently(() => this.#options.registry.byId(id), signal, logger)
      if (found) this.#readers.set(id, this.#compile(found))
      else this.#unknown.set(id, this.#now() + unknownForMs)
    } catch (error) {
      if (!(error instanceof ProfileError)) throw error
      logger.warn({ profile: this.#options.profile, schemaId: id }, `records of a schema are refused: ${error.message}`)
      this.#readers.set(id, 'unfit_schema')
    }
  }

  #patiently<T>(ask: () => Promise<T>, signal: AbortSignal, logger: Logger): Promise<T> {
    const { registry, profile } = this.#options
    return registry.patiently(ask, signal, (error) => logger.warn({ err: error, profile }, `${error.message}: waiting`))
  }

  /** At the start a login that is refused is a mistake in the configuration. */
  async #refusing<T>(asked: Promise<T>): Promise<T> {
    try {
      return await asked
    } catch (error) {
      throw error instanceof RegistryRefusal ? this.#error(error.message) : error
    }
  }

  #compile({ schema, named }: RegisteredSchema): FieldReader {
    const known = {}
    for (const text of named) parseAvroSchema(text, known)
    return this.#options.compile(avroPayload(parseAvroSchema(schema, known)))
  }

  #error(reason: string): ProfileError {
    return new ProfileError(`profile ${this.#options.profile}: ${reason}`)
  }
}
