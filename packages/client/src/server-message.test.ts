import { expect, test } from 'vitest'
import { readServerMessage } from './server-message.ts'

const position = { update_type: 'position', vehicle_id: 'v', lat: 1, long: 2, timestamp: 3 }
const read = (message: unknown) => readServerMessage(JSON.stringify(message))

test('a message that is known is read, whatever else it carries', () => {
  expect(read({ type: 'ack', id: 'map', mood: 'good' })).toEqual({ type: 'ack', id: 'map' })
})

test('what a newer hub says beside it does not cost a frame its updates', () => {
  const weather = { update_type: 'weather', vehicle_id: 'v', value: 'rain' }
  const message = { type: 'updates', cursor: 'c', updates: [weather, position, null] }
  expect(read(message)).toEqual({ type: 'updates', cursor: 'c', updates: [position] })
})

test.each([
  ['no JSON', 'hello'],
  ['a message of an unknown type', '{"type":"forecast"}'],
  ['updates without a cursor', '{"type":"updates","updates":[]}'],
  ['null', 'null'],
  ['an array', '[]'],
])('%s is nothing', (_, text) => {
  expect(readServerMessage(text)).toBeUndefined()
})
