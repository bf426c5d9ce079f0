import { describe, expect, test } from 'vitest'
import { anomalyProfile, sensorProfile, sensorV5Profile } from './built-in-profiles.ts'
import { chooseTopics, parseTopics } from './topics.ts'

test('names and patterns, comma separated; a comma inside a pattern is its own', () => {
  expect(parseTopics('clb.demo.depa.raw , /a{1,2}\\.raw/,b_c-d')).toEqual({
    names: ['clb.demo.depa.raw', 'b_c-d'],
    patterns: [/^(?:a{1,2}\.raw)$/u],
  })
  expect(parseTopics('none')).toEqual({ names: [], patterns: [] })
})

test.each([
  ['a b', '"a b"'],
  ['/[/', 'Invalid regular expression'],
  ['ä', '"ä"'],
  ['x'.repeat(250), 'x'],
  ['/', '"/"'],
  ['a,,b', '",b" does not begin'],
])('%s is neither', (text, message) => {
  expect(() => parseTopics(text)).toThrow(message)
})

describe('which topics are consumed', () => {
  const old = sensorV5Profile('UTC')
  const rules = [
    { profile: sensorProfile, ...parseTopics('site.a, /site\\..*/') },
    { profile: old, ...parseTopics('site.old, /.*\\.old/') },
    { profile: anomalyProfile, ...parseTopics('anomalies') },
  ]

  test('a name counts more than a pattern, a pattern matches the whole name, and two profiles are none', () => {
    const existing = ['site.a', 'site.b', 'site.old', 'site.c.old', 'my.site.x', 'x.old', '__consumer_offsets']
    expect(chooseTopics(rules, existing)).toEqual({
      profiles: new Map([
        ['site.a', sensorProfile],
        ['site.b', sensorProfile],
        ['site.old', old],
        ['x.old', old],
      ]),
      missing: ['anomalies'],
      ambiguous: ['site.c.old'],
    })
  })

  test('a pattern that matches everything does not match what is Kafka’s', () => {
    const everything = [{ profile: sensorProfile, ...parseTopics('/.*/') }]
    expect([...chooseTopics(everything, ['a', '__consumer_offsets']).profiles.keys()]).toEqual(['a'])
  })
})
