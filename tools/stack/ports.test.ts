import { assert, integer, property } from 'fast-check'
import { expect, test } from 'vitest'
import { portsOf } from './ports.ts'

const origins = integer({ min: 1_024, max: 65_535 })
const others = (origin: number) => Object.values(portsOf(origin)).flat()

test('no two parts of a stack want the same port', () => {
  assert(
    property(origins, (origin) => {
      const ports = [origin, ...others(origin)]
      expect(new Set(ports).size).toBe(ports.length)
    }),
  )
})

test('stacks run side by side, even on neighbouring origins', () => {
  expect(others(8080).filter((port) => others(8081).includes(port))).toEqual([])
})

test('no port is one that an outgoing connection may take', () => {
  assert(
    property(origins, (origin) => {
      expect(Math.min(...others(origin))).toBeGreaterThan(1_024)
      expect(Math.max(...others(origin))).toBeLessThan(32_768)
    }),
  )
})
