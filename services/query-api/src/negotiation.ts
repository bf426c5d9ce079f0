import { formatsOf, mediaTypes, type Format } from '@flasktoria/contracts/operation'
import { operations } from '@flasktoria/contracts/rest'
import type { Context } from 'hono'
import { Problem } from './problem.ts'
import type { RequestEnv } from './request-env.ts'

/**
 * The form of the answer: the one that `format` names, else the one that `Accept` likes best; of equals, and without a wish,
 * the first that the operation lists.
 * @throws Problem `not_acceptable`
 */
export function negotiate<Offered extends Format>(c: Context<RequestEnv>, asked: Offered | undefined): Offered {
  c.header('Vary', 'Accept', { append: true })
  if (asked !== undefined) return asked
  const offered = formatsOf(operations[c.get('operation')!])
  const accepted = preferredFormat(c.req.header('Accept'), offered)
  if (accepted !== undefined) return accepted as Offered
  const types = offered.map((format) => mediaTypes[format]).join(', ')
  throw new Problem('not_acceptable', `The answer comes as ${types}.`)
}

/** RFC 9110, 12.5.1: the most specific range that fits a type says how much it is wanted. Undefined: none is. */
export function preferredFormat(accept: string | undefined, offered: readonly Format[]): Format | undefined {
  if (accept === undefined || accept.trim() === '') return offered[0]
  const ranges = accept.split(',', 32).map(readRange)
  const wishes = offered.map((format) => ({ format, q: qualityOf(mediaTypes[format], ranges) }))
  const best = wishes.reduce((a, b) => (b.q > a.q ? b : a))
  return best.q > 0 ? best.format : undefined
}

type Range = { type: string; q: number }

function readRange(text: string): Range {
  const [type = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase())
  const q = parameters.find((parameter) => /^q\s*=/.test(parameter))?.split('=', 2)[1]
  const quality = q === undefined ? 1 : Number(q)
  return { type, q: quality >= 0 && quality <= 1 ? quality : 0 }
}

function qualityOf(mediaType: string, ranges: readonly Range[]): number {
  const candidates = [mediaType, `${mediaType.split('/', 1)[0]}/*`, '*/*']
  const range = candidates.map((candidate) => ranges.find(({ type }) => type === candidate)).find(Boolean)
  return range?.q ?? 0
}
