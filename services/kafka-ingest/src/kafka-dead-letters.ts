import type { Logger } from '@flasktoria/service-kit/logger'
import kafkajs, { type IHeaders, type Message } from 'kafkajs'
import { setTimeout as delay } from 'node:timers/promises'
import type { DeadLetter, DeadLetters } from './dead-letters.ts'
import { connectTo, type KafkaAccess } from './kafka-client.ts'

const { Partitioners } = kafkajs

/** Letters that wait for a broker, or are on their way. */
const maxWaiting = 2_000
/** A broker that is away costs letters, not memory. */
const patience = { retries: 5, initialRetryTime: 100, maxRetryTime: 1_000 }
const closeWithinMs = 2_000
/** How often a record was replayed. */
const replaysHeader = 'flasktoria-replays'

export type KafkaDeadLettersOptions = KafkaAccess & {
  topic: string
  /** Called with how many no broker took. */
  onLost: (letters: number) => void
}

/** Dead letters as records of a topic: the value as it came, its key and headers, and `flasktoria-…` headers that say what it was. */
export function createKafkaDeadLetters(
  { topic, onLost, ...access }: KafkaDeadLettersOptions,
  logger: Logger,
): Omit<DeadLetters, 'read'> {
  const producer = connectTo(access, logger, patience).producer({
    createPartitioner: Partitioners.DefaultPartitioner,
    allowAutoTopicCreation: false,
  })
  let waiting: DeadLetter[] = []
  let underWay = 0
  let sending: Promise<void> | undefined
  let isFailing = false

  const send = async () => {
    while (waiting.length > 0) {
      const letters = waiting
      waiting = []
      underWay = letters.length
      try {
        await producer.connect()
        await producer.send({ topic, messages: letters.map(messageOf) })
        isFailing = false
      } catch (error) {
        onLost(letters.length)
        if (!isFailing) logger.warn({ err: error, topic }, 'dead letters cannot be sent')
        isFailing = true
      }
      underWay = 0
    }
    sending = undefined
  }

  return {
    put: (letters) => {
      const kept = letters.slice(0, maxWaiting - waiting.length - underWay)
      if (kept.length < letters.length) onLost(letters.length - kept.length)
      waiting.push(...kept)
      if (waiting.length > 0) sending ??= send()
    },
    close: async () => {
      const closing = Promise.resolve(sending).then(() => producer.disconnect())
      await Promise.race([closing.catch(() => {}), delay(closeWithinMs, undefined, { ref: false })])
    },
  }
}

function messageOf(letter: DeadLetter): Message {
  const { reason, topic, partition, offset, recordTime, refusedAt, bytes } = letter
  const said = { reason, topic, partition, offset, 'record-time': recordTime, 'refused-at': refusedAt, bytes }
  const headers = headersOf(letter)
  for (const [name, value] of Object.entries(said)) headers[`flasktoria-${name}`] = String(value)
  return { ...contentOf(letter), headers }
}

/** How often a letter's record was replayed before it was refused again. */
export function replaysOf({ headers }: DeadLetter): number {
  const header = headers.findLast(([name]) => name === replaysHeader)
  const replays = header ? Number(Buffer.from(header[1], 'base64').toString()) : 0
  return Number.isSafeInteger(replays) && replays >= 0 ? replays : Infinity
}

/** Sends records back to where they came from. */
export async function openReplay(access: KafkaAccess, logger: Logger) {
  const producer = connectTo(access, logger, patience).producer({
    allowAutoTopicCreation: false,
    maxInFlightRequests: 1,
  })
  await producer.connect()
  return {
    /** Which of them, all of one topic, all in-sync replicas have now. */
    send: async (topic: string, letters: readonly DeadLetter[]): Promise<DeadLetter[]> => {
      const messages = letters.map((letter) => ({
        ...contentOf(letter),
        partition: letter.partition,
        headers: { ...headersOf(letter), [replaysHeader]: String(replaysOf(letter) + 1) },
      }))
      const answers = await producer.send({ topic, messages, acks: -1 })
      // kafkajs says nothing of a partition that is not there (any more), and sends nothing.
      const taken = new Set(answers.filter(({ errorCode }) => errorCode === 0).map(({ partition }) => partition))
      return letters.filter(({ partition }) => taken.has(partition))
    },
    [Symbol.asyncDispose]: () => producer.disconnect(),
  }
}

const contentOf = ({ key, value }: DeadLetter): Pick<Message, 'key' | 'value'> => ({
  key: key === null ? null : Buffer.from(key, 'base64'),
  value: value === null ? null : Buffer.from(value, 'base64'),
})

function headersOf({ headers }: DeadLetter): IHeaders {
  const byName = Map.groupBy(headers, ([name]) => name)
  return Object.fromEntries(
    [...byName].map(([name, all]) => [name, all.map(([, value]) => Buffer.from(value, 'base64'))]),
  )
}
