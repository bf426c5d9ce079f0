import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { RecentMap } from './recent-map.ts'

test('the keys that were used last are known, and not more than twice as many', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(12), { maxLength: 60 }), fc.integer({ min: 1, max: 5 }), (keys, capacity) => {
      const map = new RecentMap<{ key: number }>(capacity)
      for (const key of keys) if (!map.get(String(key))) map.set(String(key), { key })
      const lastUsed = [...new Set(keys.toReversed())].slice(0, capacity)
      for (const key of lastUsed.toReversed()) expect(map.get(String(key))).toEqual({ key })
    }),
  )
  const map = new RecentMap<object>(3)
  for (let key = 0; key < 100; key++) map.set(String(key), {})
  const known = Array.from({ length: 100 }, (_, key) => key).filter((key) => map.get(String(key)))
  expect(known.length).toBeLessThanOrEqual(6)
})
