import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import { ProfileError } from './decode.ts'

export type SchemaRegistryOptions = { url: string; authorization: string | undefined; timeoutMs: number }

/** A schema as the registry keeps it, with those that it names, innermost first. */
export type RegisteredSchema = { schema: string; named: string[] }

/** It does not answer, or with something that is no answer: asking again may help. */
export class RegistryAway extends Error {
  override readonly name = 'RegistryAway'
}

const maxAnswerBytes = 1024 * 1024
const maxReferences = 100
const minBackoffMs = 200
const maxBackoffMs = 5_000

const answerSchema = z.object({
  schema: z.string(),
  schemaType: z.string().default('AVRO'),
  references: z.array(z.object({ name: z.string(), subject: z.string(), version: z.int() })).default([]),
})
type Answer = z.output<typeof answerSchema>
/** What a registry says when it has no such schema, subject or version; a 404 of anybody else means nothing. */
const unknownSchema = z.object({ error_code: z.literal([40_401, 40_402, 40_403]) })

/** Asks a schema registry that speaks Confluent's HTTP API. */
export class SchemaRegistry {
  readonly #options: SchemaRegistryOptions
  #problem: string | undefined

  constructor(options: SchemaRegistryOptions) {
    this.#options = options
  }

  /** Why records wait; undefined: it answers. */
  failing(): string | undefined {
    return this.#problem
  }

  /** Undefined: there is no such schema. @throws RegistryAway, ProfileError */
  byId(id: number): Promise<RegisteredSchema | undefined> {
    return this.#schema(`/schemas/ids/${id}`)
  }

  /** Undefined: there is no such subject. @throws RegistryAway, ProfileError */
  newest(subject: string): Promise<RegisteredSchema | undefined> {
    return this.#schema(`/subjects/${encodeURIComponent(subject)}/versions/latest`)
  }

  /** Whether it lets us in. @throws RegistryAway */
  async greet(): Promise<void> {
    await this.#get('/schemas/types')
  }

  /** Asks until there is an answer, or `signal` aborts. `onAway` hears of the first failure of a row. */
  async patiently<T>(ask: () => Promise<T>, signal: AbortSignal, onAway: (error: RegistryAway) => void): Promise<T> {
    for (let backoffMs = minBackoffMs; ; backoffMs = Math.min(backoffMs * 2, maxBackoffMs)) {
      signal.throwIfAborted()
      try {
        const answer = await ask()
        this.#problem = undefined
        return answer
      } catch (error) {
        if (!(error instanceof RegistryAway)) throw error
        if (this.#problem === undefined) onAway(error)
        this.#problem = error.message
      }
      await delay(backoffMs, undefined, { signal })
    }
  }

  async #schema(path: string): Promise<RegisteredSchema | undefined> {
    const answer = await this.#answer(path)
    if (!answer) return undefined
    const named = new Map<string, string>()
    await this.#collect(answer, named)
    return { schema: answer.schema, named: [...named.values()] }
  }

  /** The schemas that one refers to, each after those that it refers to itself. */
  async #collect({ references }: Answer, named: Map<string, string>): Promise<void> {
    for (const { subject, version } of references) {
      const path = `/subjects/${encodeURIComponent(subject)}/versions/${version}`
      if (named.has(path)) continue
      if (named.size >= maxReferences) throw new ProfileError(`a schema refers to more than ${maxReferences} others`)
      // Before its own references are followed: a circle ends here.
      named.set(path, '')
      const answer = await this.#answer(path)
      if (!answer) throw new ProfileError(`a schema refers to version ${version} of ${subject}, which is not there`)
      await this.#collect(answer, named)
      named.delete(path)
      named.set(path, answer.schema)
    }
  }

  async #answer(path: string): Promise<Answer | undefined> {
    const { status, body } = await this.#get(path)
    if (status === 404 && unknownSchema.safeParse(body).success) return undefined
    const answer = status === 200 ? answerSchema.safeParse(body) : undefined
    if (!answer?.success) throw new RegistryAway(`the schema registry answers ${path} with ${status} and no schema`)
    if (answer.data.schemaType !== 'AVRO')
      throw new ProfileError(`its type is ${answer.data.schemaType}; only Avro is read by its schema id`)
    return answer.data
  }

  async #get(path: string): Promise<{ status: number; body: unknown }> {
    const { url, authorization, timeoutMs } = this.#options
    const headers = { accept: 'application/vnd.schemaregistry.v1+json, application/json' }
    let response: Response
    let text: string
    try {
      response = await fetch(url.replace(/\/$/, '') + path, {
        headers: authorization === undefined ? headers : { ...headers, authorization },
        redirect: 'error',
        signal: AbortSignal.timeout(timeoutMs),
      })
      text = await boundedText(response)
    } catch (error) {
      throw new RegistryAway('the schema registry does not answer', { cause: error })
    }
    if (response.status === 401 || response.status === 403)
      throw new RegistryRefusal(`the schema registry refuses our login (${response.status})`)
    if (response.status >= 500) throw new RegistryAway(`the schema registry fails (${response.status})`)
    return { status: response.status, body: jsonOf(text) }
  }
}

/** It does not let us in. While running that is waited out like an outage: a password may be changed back. */
export class RegistryRefusal extends RegistryAway {}

async function boundedText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length
    if (bytes > maxAnswerBytes) throw new Error(`an answer of more than ${maxAnswerBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
