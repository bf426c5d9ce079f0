import { readConfig } from '@flasktoria/service-kit/config'
import { expect, test } from 'vitest'
import { configSchema, optionNames } from './config.ts'

const read = (environment: Record<string, string>) => readConfig(configSchema, environment, optionNames)

test('dead letters may have a topic of their own', () => {
  expect(read({ DEAD_LETTER_TOPIC: 'dead', DEAD_LETTERS_PER_SECOND: '0.5' })).toMatchObject({
    DEAD_LETTER_TOPIC: 'dead',
    DEAD_LETTERS_PER_SECOND: 0.5,
    MAX_DEAD_LETTERS: 1_000,
    MAX_SPEED_KMH: 300,
  })
})

test.each([{ SENSOR_TOPICS: 'a, plant.dead' }, { SENSOR_TOPICS: String.raw`/plant\..*/` }])(
  'a topic that is read as well is refused, for each letter would make another: %o',
  (topics) => {
    expect(() => read({ ...topics, DEAD_LETTER_TOPIC: 'plant.dead' })).toThrow(
      'DEAD_LETTER_TOPIC: plant.dead is among the topics that are read',
    )
  },
)

test('what is no name of a topic is refused', () => {
  expect(() => read({ DEAD_LETTER_TOPIC: '/dead/' })).toThrow('DEAD_LETTER_TOPIC: is no name of a topic')
})
