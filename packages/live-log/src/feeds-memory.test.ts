import { expect, test } from 'vitest'
import { feedOf, feedsConformance } from './feeds.conformance.ts'
import { createMemoryFeeds } from './feeds-memory.ts'

feedsConformance(async (options) => {
  const feeds = createMemoryFeeds(options)
  return { first: feeds, second: feeds }
})

test('the instance that was quiet for longest is forgotten first', async () => {
  const feeds = createMemoryFeeds({ maxInstances: 2 })
  for (const instance of ['a', 'b', 'c']) await feeds.report(feedOf(instance))
  expect((await feeds.read()).map(({ instance }) => instance)).toEqual(['b', 'c'])
})
