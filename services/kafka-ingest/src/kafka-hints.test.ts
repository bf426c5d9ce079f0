import { expect, test } from 'vitest'
import { kafkaHint } from './kafka-hints.ts'

const named = (name: string, message = 'm', more: object = {}) => Object.assign(new Error(message), { name, ...more })

test('the error that says the least gets the hint that helps', () => {
  expect(kafkaHint(named('KafkaJSGroupCoordinatorNotFound'))).toContain('READ on the consumer group')
  expect(kafkaHint(named('KafkaJSConnectionError', 'Closed connection'))).toContain('TLS or SASL')
  expect(kafkaHint(named('KafkaJSSASLAuthenticationError'))).toContain('password')
})

test('what happened is found behind what kafkajs did about it', () => {
  const cause = named('KafkaJSProtocolError', 'm', { type: 'TOPIC_AUTHORIZATION_FAILED' })
  expect(kafkaHint(named('KafkaJSNonRetriableError', 'm', { cause }))).toContain('on the topics')
})

test('no hint is better than a wrong one', () => {
  expect(kafkaHint(new Error('other'))).toBeUndefined()
  expect(kafkaHint(undefined)).toBeUndefined()
  expect(kafkaHint(null)).toBeUndefined()
  expect(kafkaHint('text')).toBeUndefined()
})
