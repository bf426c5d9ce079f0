/** What an operator should look at first, where kafkajs' own words mislead. */
export function kafkaHint(error: unknown): string | undefined {
  const { name, message, type } = errorFields(error)
  if (name === 'KafkaJSGroupCoordinatorNotFound' || type === 'GROUP_AUTHORIZATION_FAILED')
    return 'Does this user have READ on the consumer group?'
  if (type === 'TOPIC_AUTHORIZATION_FAILED') return 'Does this user have READ and DESCRIBE on the topics?'
  if (message.includes('secure TLS connection')) return 'Does this port speak TLS?'
  if (type === 'ILLEGAL_SASL_STATE') return 'Does this port want SASL at all?'
  if (message.includes('Closed connection'))
    return 'The broker hung up: does this port want TLS or SASL, or neither? Or is the broker older than 0.11?'
  if (name === 'KafkaJSSASLAuthenticationError') return 'Are the SASL mechanism, the user and the password right?'
  return undefined
}

type Fields = { name?: string; message?: string; type?: string; cause?: unknown }

/** kafkajs wraps what happened into what it did about it. */
function errorFields(error: unknown): Required<Omit<Fields, 'cause'>> {
  const { name = '', message = '', type = '', cause } = (error ?? {}) as Fields
  return type === '' && cause instanceof Error && cause !== error ? errorFields(cause) : { name, message, type }
}
