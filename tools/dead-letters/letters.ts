import { isWhole, type DeadLetter } from '@flasktoria/kafka-ingest/dead-letters'
import { replaysOf } from '@flasktoria/kafka-ingest/kafka-dead-letters'
import { chooseTopics, type TopicRule } from '@flasktoria/kafka-ingest/topics'

/** What fails again so often will not be mended by another try. */
const maxReplays = 3
const shownText = 200
const rowBytes = 16

export type Wish = { topic: string | undefined; reason: string | undefined }

export const isWanted = ({ topic, reason }: DeadLetter, wish: Wish): boolean =>
  (wish.topic === undefined || topic === wish.topic) && (wish.reason === undefined || reason === wish.reason)

/** Why a letter is not sent again; undefined: it is. */
export function whyNotReplayed(letter: DeadLetter, { reason }: Wish): string | undefined {
  if (letter.reason === 'teleport' && reason !== 'teleport')
    return 'teleports, which the history has already: --reason teleport sends them all the same'
  if (!isWhole(letter)) return 'too large to be kept whole'
  if (replaysOf(letter) >= maxReplays) return `replayed ${maxReplays} times already`
  return undefined
}

export function tally(words: readonly string[]): [word: string, times: number][] {
  const times = new Map<string, number>()
  for (const word of words) times.set(word, (times.get(word) ?? 0) + 1)
  return [...times].toSorted(([, a], [, b]) => b - a)
}

/** One line: when, where, why, and what can be read of it. */
export const lineOf = (letter: DeadLetter, rules: readonly TopicRule[]): string =>
  `${letter.refusedAt}  ${placeOf(letter)}  ${letter.reason}  ${meaningOf(letter, rules)}`

/** All that is known of it. */
export function pageOf(letter: DeadLetter, rules: readonly TopicRule[]): string[] {
  const { bytes, key, headers, reason, recordTime, refusedAt } = letter
  const value = valueOf(letter)
  const cut = value && value.length < bytes ? `, the first ${value.length} of them here` : ''
  return [
    placeOf(letter),
    `  reason     ${reason}, refused at ${refusedAt}`,
    `  record of  ${recordTime}`,
    `  key        ${key === null ? 'none' : printable(Buffer.from(key, 'base64'))}`,
    ...headers.map(
      ([name, text]) => `  header     ${printable(Buffer.from(`${name}: `))}${printable(Buffer.from(text, 'base64'))}`,
    ),
    ...(letter.isBare ? ['  key and headers were too large to keep'] : []),
    `  decoded    ${meaningOf(letter, rules)}`,
    `  value      ${value ? `${bytes} bytes${cut}` : 'none: a tombstone'}`,
    ...(value ? hexRows(value) : []),
  ]
}

const placeOf = ({ topic, partition, offset }: DeadLetter): string =>
  `${printable(Buffer.from(topic))} ${partition}:${offset}`

const valueOf = ({ value }: DeadLetter): Buffer | null => (value === null ? null : Buffer.from(value, 'base64'))

/** As the configuration reads its topic; or as text, where it cannot. */
function meaningOf(letter: DeadLetter, rules: readonly TopicRule[]): string {
  const value = valueOf(letter)
  const decoded = chooseTopics(rules, [letter.topic]).profiles.get(letter.topic)?.read(value)
  if (decoded?.ok) {
    const { ok: _ok, kind: _kind, ...fields } = decoded
    return clipped(JSON.stringify(fields))
  }
  return value ? clipped(printable(value)) : 'a tombstone'
}

const clipped = (text: string): string => (text.length > shownText ? `${text.slice(0, shownText)}…` : text)

/** A record may hold anything, also what a terminal would obey. */
const printable = (bytes: Buffer): string => bytes.toString('utf8').replaceAll(/[\p{C}\u2028\u2029\ufffd]/gu, '·')

function hexRows(bytes: Buffer): string[] {
  const rows: string[] = []
  for (let from = 0; from < bytes.length; from += rowBytes) {
    const row = bytes.subarray(from, from + rowBytes)
    const hex = row.toString('hex').replaceAll(/(..)(?!$)/g, '$1 ')
    const text = row.toString('latin1').replaceAll(/[^ -~]/g, '·')
    rows.push(`  ${from.toString(16).padStart(6, '0')}  ${hex.padEnd(rowBytes * 3 - 1)}  ${text}`)
  }
  return rows
}
