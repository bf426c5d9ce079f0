import { randomUUID } from 'node:crypto'
import { createRedisMutes } from './mutes-redis.ts'
import { mutesConformance } from './mutes.conformance.ts'
import { redisUrl } from './testing-redis.ts'

mutesConformance(async () => {
  const options = { url: redisUrl(), prefix: `test-${randomUUID()}` }
  return { first: createRedisMutes(options), second: createRedisMutes(options) }
})
