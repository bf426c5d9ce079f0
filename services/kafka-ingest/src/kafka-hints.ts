/** What an operator should look at first, where kafkajs' own words mislead. */
export function kafkaHint(error: unknown): string | undefined {
  const { name, message, type } = errorFields(error)
  if (name === 'KafkaJSGroupCoordinatorNotFound' || type === 'GROUP_AUTHORIZATION_FAILED')
    return 'Does this user have READ on the consumer group?'
  if (type === 'TOPIC_AUTHORIZATION_FAILED') return 'Does this user have READ and DESCRIBE on the topics?'
  if (message.includes('Closed connection'))
    return 'The broker hung up: does this port want TLS or SASL, or neither? Or is the broker older than 0.11?'
  if (name === 'KafkaJSSASLAuthenticationError') return 'Are the SASL mechanism, the user and the password right?'
  return undefined
}

function errorFields(error: unknown): { name: string; message: string; type: string } {
  const {
    name = '',
    message = '',
    type = '',
    cause,
  } = error as { [key in 'name' | 'message' | 'type']?: string } & {
    cause?: unknown
  }
  // kafkajs wraps what happened into what it did about it.
  return type === '' && cause instanceof Error && cause !== error ? errorFields(cause) : { name, message, type }
}
