import type { Logger } from '@flasktoria/service-kit/logger'
import type { Admin } from 'kafkajs'
import { setTimeout as delay } from 'node:timers/promises'
import type { TopicProfile } from './topic-profile.ts'
import { chooseTopics, type TopicRule } from './topics.ts'
import { unlessAborted } from './unless-aborted.ts'

export type Topics = ReadonlyMap<string, TopicProfile>

const maxWaitMs = 5_000

/** Which of the topics that exist are ours, and what is wrong with the choice. */
export class TopicWatch {
  readonly #rules: readonly TopicRule[]
  readonly #admin: Admin
  readonly #logger: Logger
  #problem: string | undefined

  constructor(rules: readonly TopicRule[], admin: Admin, logger: Logger) {
    this.#rules = rules
    this.#admin = admin
    this.#logger = logger
  }

  /** What was wrong when we looked last. */
  problem(): string | undefined {
    return this.#problem
  }

  async look(): Promise<Topics> {
    const { profiles, missing, ambiguous } = chooseTopics(this.#rules, await this.#admin.listTopics())
    const denied = await this.#deniedOf(missing)
    const absent = missing.filter((topic) => !denied.includes(topic))
    const problems = [
      ...(absent.length > 0 ? [`there is no topic ${absent.join(', ')}`] : []),
      ...denied.map((topic) => `this user needs DESCRIBE and READ on the topic ${topic}`),
      ...(ambiguous.length > 0 ? [`several profiles are configured for topic ${ambiguous.join(', ')}`] : []),
      ...(profiles.size === 0 && missing.length + ambiguous.length === 0 ? [this.#nothing()] : []),
    ]
    const problem = problems.length > 0 ? problems.join('; ') : undefined
    if (problem !== undefined && problem !== this.#problem) this.#logger.warn(`${problem}; looking again and again`)
    this.#problem = problem
    return profiles
  }

  /** Which of them are there, perhaps: a list of topics holds only those that we may see. */
  async #deniedOf(topics: readonly string[]): Promise<string[]> {
    const denied: string[] = []
    for (const topic of topics) {
      try {
        // oxlint-disable-next-line no-await-in-loop -- one at a time, for kafkajs does not say which of several it was
        await this.#admin.fetchTopicMetadata({ topics: [topic] })
      } catch (error) {
        if ((error as { type?: string }).type === 'TOPIC_AUTHORIZATION_FAILED') denied.push(topic)
      }
    }
    return denied
  }

  #nothing(): string {
    const patterns = this.#rules.flatMap((rule) => rule.patterns.map(({ source }) => `/${source}/`))
    return `no topic matches ${patterns.join(', ')}, or this user has no right to DESCRIBE it`
  }

  async untilSome(checkMs: number, signal: AbortSignal): Promise<Topics> {
    for (;;) {
      const topics = await unlessAborted(this.look(), signal)
      if (topics.size > 0) return topics
      await delay(Math.min(checkMs, maxWaitMs), undefined, { signal })
    }
  }
}

export const areSame = (a: Topics, b: Topics): boolean =>
  a.size === b.size && [...a].every(([topic, profile]) => b.get(topic) === profile)
