import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { ProfileError } from './decode.ts'
import { topicsFileSchema } from './profile-spec.ts'
import { compileProfile } from './profile.ts'
import { parseTopics, type TopicRule } from './topics.ts'

/**
 * The topics of a site and how each is written: a list of profiles. Other files are named as seen from its folder. Everything
 * that can be checked without Kafka and a registry is checked here. @throws ZodError, ProfileError
 */
export function readTopicsFile(path: string): TopicRule[] {
  const folder = dirname(path)
  const specs = topicsFileSchema.parse(JSON.parse(readFileSync(path, 'utf8')))
  const twice = specs.find(({ name }, index) => specs.findIndex((other) => other.name === name) < index)
  if (twice) throw new ProfileError(`two profiles have the name ${twice.name}`)
  return specs.map((spec): TopicRule => {
    const parsed = spec.topics.map((text) => onlyTopic(spec.name, text))
    return {
      profile: compileProfile(spec, (file) => readFileSync(resolve(folder, file))),
      names: parsed.flatMap(({ names }) => names),
      patterns: parsed.flatMap(({ patterns }) => patterns),
    }
  })
}

function onlyTopic(profile: string, text: string): Pick<TopicRule, 'names' | 'patterns'> {
  let found
  try {
    found = parseTopics(text)
  } catch (error) {
    throw new ProfileError(`profile ${profile}: ${error instanceof Error ? error.message : String(error)}`)
  }
  if (found.names.length + found.patterns.length !== 1)
    throw new ProfileError(`profile ${profile}: ${JSON.stringify(text)} is not one topic or one /pattern/`)
  return found
}

/** A topic or a pattern that is claimed twice. What two different patterns share shows only in Kafka. */
export function claimedTwice(rules: readonly TopicRule[]): string | undefined {
  const claims = rules.flatMap(({ names, patterns }) => [...names, ...patterns.map(String)])
  return claims.find((claim, index) => claims.indexOf(claim) !== index)
}
