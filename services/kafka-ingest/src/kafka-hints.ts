/** Who asked for what: named in the hint, so that whoever grants rights need not guess. */
export type Asked = { group?: string; topics?: readonly string[] }

type Fields = { name: string; message: string; type: string }

/** What an operator should look at first, where kafkajs' own words mislead. */
export function kafkaHint(error: unknown, asked: Asked = {}): string | undefined {
  const fields = errorFields(error)
  return rightHint(fields, asked) ?? tlsHint(fields) ?? loginHint(fields) ?? networkHint(fields)
}

function rightHint({ name, message, type }: Fields, { group, topics = [] }: Asked): string | undefined {
  // kafkajs finds no coordinator, whatever the coordinator answered.
  if (
    name === 'KafkaJSGroupCoordinatorNotFound' ||
    type === 'GROUP_AUTHORIZATION_FAILED' ||
    message.includes('Group authorization failed')
  )
    return `This user needs READ on the consumer group${group === undefined ? '' : ` ${group}`}.`
  if (type !== 'TOPIC_AUTHORIZATION_FAILED' && !message.includes('Topic authorization failed')) return undefined
  if (topics.length === 1) return `This user needs READ on the topic ${topics[0]}.`
  return `This user needs READ on each of the topics${topics.length === 0 ? '' : ` ${topics.join(', ')}`}.`
}

const untrusted = /unable to (?:verify|get)|self[- ]signed certificate/i

function tlsHint({ message }: Fields): string | undefined {
  if (untrusted.test(message))
    return "Nobody whom we trust vouches for the broker's certificate: KAFKA_TLS_CA names a private authority."
  if (message.includes("does not match certificate's altnames"))
    return "The broker's certificate is for other names than the one in KAFKA_BROKERS or in the broker's advertised.listeners."
  if (/alert (?:certificate required|handshake failure|bad certificate|unknown ca)/i.test(message))
    return 'The brokers want to know us by a certificate that they trust: KAFKA_TLS_CERT and KAFKA_TLS_KEY.'
  if (message.includes('certificate has expired')) return "The broker's certificate has expired."
  if (/secure TLS connection|wrong version number/.test(message))
    return 'This port does not speak TLS: KAFKA_BROKERS has to name the port with TLS, or KAFKA_TLS has to be off.'
  return undefined
}

function loginHint({ name, message, type }: Fields): string | undefined {
  if (type === 'ILLEGAL_SASL_STATE')
    return 'This port wants no log-in: KAFKA_BROKERS has to name the port with SASL, or KAFKA_SASL_MECHANISM has to be none.'
  if (message.includes('mechanism is not supported by the server'))
    return 'The brokers have another mechanism: see sasl.enabled.mechanisms there, and KAFKA_SASL_MECHANISM here.'
  if (name === 'KafkaJSSASLAuthenticationError') return 'Are the SASL mechanism, the user and the password right?'
  return undefined
}

function networkHint({ message }: Fields): string | undefined {
  if (message.includes('Closed connection'))
    return 'The broker hung up: does this port want TLS or a log-in, and KAFKA_TLS or KAFKA_SASL_MECHANISM is not set? Or is the broker older than 0.11?'
  if (message.includes('ECONNREFUSED')) return 'Nothing listens there.'
  if (/ENOTFOUND|EAI_AGAIN/.test(message)) return 'Nobody knows that name.'
  return undefined
}

/** kafkajs wraps what happened into what it did about it. */
function errorFields(error: unknown): Fields {
  const { name = '', message = '', type = '', cause } = (error ?? {}) as Partial<Fields> & { cause?: unknown }
  return type === '' && cause instanceof Error && cause !== error ? errorFields(cause) : { name, message, type }
}
