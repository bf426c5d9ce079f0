import { expect, test } from 'vitest'
import { createMemoryMutes } from './mutes-memory.ts'
import { mutesConformance, rulesOf } from './mutes.conformance.ts'

mutesConformance(async () => {
  const mutes = createMemoryMutes()
  return { first: mutes, second: mutes }
})

test('the client that was quiet for longest is forgotten first', async () => {
  const mutes = createMemoryMutes({ maxClients: 2 })
  for (const client of ['a', 'b', 'c'])
    await mutes.change(client, [{ kind: 'position', vehicle: 'v', sensor: '', isMuted: true }])
  expect([await mutes.read('a'), await mutes.read('c')].map((rules) => rules.length)).toEqual([0, 1])
})

const rule = (sensor: string, isMuted: boolean) => ({ kind: 'sensordata' as const, vehicle: 'v', sensor, isMuted })

test('a rule for the vehicle holds for every sensor, and for no other kind or vehicle', () => {
  const rules = rulesOf(rule('', true))
  expect(rules.isMuted('sensordata', 'v', 's')).toBe(true)
  expect(rules.isMuted('sensorstatus', 'v', 's')).toBe(false)
  expect(rules.isMuted('sensordata', 'w', 's')).toBe(false)
})

test('a sensor can be taken out of a muted vehicle', () => {
  const rules = rulesOf(rule('', true), rule('s', false))
  expect(rules.isMuted('sensordata', 'v', 's')).toBe(false)
  expect(rules.isMuted('sensordata', 'v', 't')).toBe(true)
})

test('the last word about a vehicle takes away what was said of its sensors', () => {
  expect(rulesOf(rule('s', true), rule('', false)).size).toBe(0)
  expect(rulesOf(rule('', true), rule('s', false), rule('', true)).isMuted('sensordata', 'v', 's')).toBe(true)
})

test('a position has no sensor, whatever the client says', () => {
  const rules = rulesOf({ kind: 'position', vehicle: 'v', sensor: 's', isMuted: true })
  expect(rules.isMuted('position', 'v', '')).toBe(true)
})
