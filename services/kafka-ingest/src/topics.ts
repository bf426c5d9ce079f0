import type { TopicProfile } from './topic-profile.ts'

/** Which topics have one profile: names, and patterns that match a whole name. */
export type TopicRule = { profile: TopicProfile; names: readonly string[]; patterns: readonly RegExp[] }

export type TopicChoice = {
  /** What to consume. */
  profiles: Map<string, TopicProfile>
  /** Named in the configuration, but not in Kafka. */
  missing: string[]
  /** Matched by patterns of several profiles: not consumed, for the profile is never guessed. */
  ambiguous: string[]
}

/**
 * `a.raw, /b\..*\.raw/`: names and /patterns/, comma separated, or `none`. A comma inside a pattern is its own.
 * @throws SyntaxError with a sentence
 */
export function parseTopics(text: string): Pick<TopicRule, 'names' | 'patterns'> {
  const names: string[] = []
  const patterns: RegExp[] = []
  if (text.trim() === 'none') return { names, patterns }
  let end = 0
  for (const [match, pattern, name] of text.matchAll(/\s*(?:\/((?:\\.|[^\\/])+)\/|([^,]+))\s*(?:,|$)/gy)) {
    if (pattern !== undefined) patterns.push(new RegExp(`^(?:${pattern})$`, 'u'))
    else if (name !== undefined && /^[\w.-]{1,249}$/.test(name.trim())) names.push(name.trim())
    else throw new SyntaxError(`${JSON.stringify(name)} is neither a topic's name nor a /pattern/`)
    end += match.length
  }
  if (end < text.length) throw new SyntaxError(`${JSON.stringify(text.slice(end))} does not begin with a topic's name`)
  return { names, patterns }
}

/** A name counts more than a pattern. Kafka's own topics are never matched. */
export function chooseTopics(rules: readonly TopicRule[], existing: readonly string[]): TopicChoice {
  const profiles = new Map<string, TopicProfile>()
  const ambiguous: string[] = []
  for (const topic of existing) {
    const named = rules.filter(({ names }) => names.includes(topic))
    const matching = topic.startsWith('__') ? [] : rules.filter((rule) => rule.patterns.some((p) => p.test(topic)))
    const [first, ...others] = named.length > 0 ? named : matching
    if (others.length > 0) ambiguous.push(topic)
    else if (first) profiles.set(topic, first.profile)
  }
  const missing = rules.flatMap(({ names }) => names).filter((name) => !existing.includes(name))
  return { profiles, missing, ambiguous }
}
