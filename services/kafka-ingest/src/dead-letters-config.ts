import { z } from 'zod'
import { chooseTopics, type TopicRule } from './topics.ts'

/** What is kept of records that could not be used. */
export const deadLetterOptions = {
  MAX_DEAD_LETTERS: z.coerce
    .number()
    .int()
    .min(1)
    .max(100_000)
    .default(1_000)
    .meta({ description: 'How many records that could not be used are kept.' }),
  DEAD_LETTERS_PER_SECOND: z.coerce.number().min(0.01).max(10_000).default(10).meta({
    description:
      'How many records of one topic and reason each instance keeps in a second, in the long run; ten times as many at once.',
  }),
}

export const deadLetterTopic = z
  .string()
  .regex(/^[\w.-]{1,249}$/, 'is no name of a topic')
  .optional()
  .meta({ description: 'Topic that gets the records that could not be used, beside those that are kept.' })

/** What a topic that we read as well would do to us: each letter makes another one. */
export function checkDeadLetterTopic(
  topic: string | undefined,
  rules: readonly TopicRule[],
  complain: (name: string, message: string) => void,
): void {
  if (topic === undefined) return
  const { profiles, ambiguous } = chooseTopics(rules, [topic])
  if (profiles.size + ambiguous.length > 0)
    complain('DEAD_LETTER_TOPIC', `${topic} is among the topics that are read: each dead letter would make another`)
}
