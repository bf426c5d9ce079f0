import { expect, test } from 'vitest'
import { kafkaHint } from './kafka-hints.ts'

const named = (name: string, message = 'm', more: object = {}) => Object.assign(new Error(message), { name, ...more })
const cause = named('KafkaJSProtocolError', 'm', { type: 'TOPIC_AUTHORIZATION_FAILED' })

test.each([
  [named('KafkaJSGroupCoordinatorNotFound'), 'READ on the consumer group cars'],
  [named('KafkaJSProtocolError', 'm', { type: 'GROUP_AUTHORIZATION_FAILED' }), 'READ on the consumer group cars'],
  [named('KafkaJSNonRetriableError', 'm', { cause }), 'READ on each of the topics a, b'],
  [named('KafkaJSConnectionError', 'unable to verify the first certificate'), 'KAFKA_TLS_CA'],
  [named('KafkaJSConnectionError', 'self-signed certificate in certificate chain'), 'KAFKA_TLS_CA'],
  [
    named('KafkaJSConnectionError', "Host: x. is not cert's: does not match certificate's altnames"),
    'advertised.listeners',
  ],
  [named('KafkaJSConnectionError', 'certificate has expired'), 'has expired'],
  [named('KafkaJSConnectionError', 'before secure TLS connection was established'), 'does not speak TLS'],
  [named('KafkaJSProtocolError', 'm', { type: 'ILLEGAL_SASL_STATE' }), 'wants no log-in'],
  [named('KafkaJSSASLAuthenticationError', 'SASL PLAIN mechanism is not supported by the server'), 'another mechanism'],
  [named('KafkaJSSASLAuthenticationError'), 'password'],
  [named('KafkaJSConnectionError', 'Closed connection'), 'KAFKA_TLS or KAFKA_SASL_MECHANISM'],
  [named('KafkaJSConnectionError', 'connect ECONNREFUSED 127.0.0.1:1'), 'Nothing listens'],
  [named('KafkaJSConnectionError', 'getaddrinfo ENOTFOUND kafka.example'), 'knows that name'],
])('%s gets the hint that helps', (error, hint) => {
  expect(kafkaHint(error, { group: 'cars', topics: ['a', 'b'] })).toContain(hint)
})

test('one topic is named as the one', () => {
  expect(kafkaHint(cause, { topics: ['a'] })).toBe('This user needs READ on the topic a.')
})

test('what nobody asked for is not named', () => {
  expect(kafkaHint(cause)).toBe('This user needs READ on each of the topics.')
  expect(kafkaHint(named('KafkaJSGroupCoordinatorNotFound'))).toBe('This user needs READ on the consumer group.')
})

test('no hint is better than a wrong one', () => {
  expect(kafkaHint(new Error('other'))).toBeUndefined()
  expect(kafkaHint(undefined)).toBeUndefined()
  expect(kafkaHint(null)).toBeUndefined()
  expect(kafkaHint('text')).toBeUndefined()
})
