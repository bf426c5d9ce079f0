import { describe, expect, test } from 'vitest'
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
])('%s is neither', (text, message) => {
  expect(() => parseTopics(text)).toThrow(message)
})

describe('which topics are consumed', () => {
  const rules = [
    { form: 'sensor' as const, ...parseTopics('site.a, /site\\..*/') },
    { form: 'sensor-v5' as const, ...parseTopics('site.old, /.*\\.old/') },
    { form: 'anomaly' as const, ...parseTopics('anomalies') },
  ]

  test('a name counts more than a pattern, a pattern matches the whole name, and two forms are none', () => {
    const existing = ['site.a', 'site.b', 'site.old', 'site.c.old', 'my.site.x', 'x.old', '__consumer_offsets']
    expect(chooseTopics(rules, existing)).toEqual({
      forms: new Map([
        ['site.a', 'sensor'],
        ['site.b', 'sensor'],
        ['site.old', 'sensor-v5'],
        ['x.old', 'sensor-v5'],
      ]),
      missing: ['anomalies'],
      ambiguous: ['site.c.old'],
    })
  })

  test('a pattern that matches everything does not match what is Kafka’s', () => {
    const everything = [{ form: 'sensor' as const, ...parseTopics('/.*/') }]
    expect([...chooseTopics(everything, ['a', '__consumer_offsets']).forms.keys()]).toEqual(['a'])
  })
})
