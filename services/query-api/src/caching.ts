import { operations, type Operation } from '@flasktoria/contracts/rest'
import type { Context } from 'hono'
import type { RequestEnv } from './request-env.ts'

/** How long a browser may show what is settled without asking. */
const settledSeconds = 86_400

/** How the paths call the last moment that a question is about. */
const endNames = ['to', 'end_ts', 'at']

/**
 * Says how long an answer can be kept: what is live not at all unless it is asked for again, a period that ended before
 * `settledBefore()` for a day, without asking.
 */
export function describeCaching(c: Context<RequestEnv>, settledBefore: () => number): void {
  const { headers, status } = c.res
  const id = c.get('operation')
  if (id === undefined || (status !== 200 && status !== 304) || headers.has('Cache-Control')) return
  const { tag, method }: Operation = operations[id]
  if (method !== 'get') return
  const isSettled = tag === 'history' && endOf(c) < settledBefore()
  headers.set('Cache-Control', isSettled ? `private, max-age=${settledSeconds}, immutable` : 'no-cache')
  // What came since would make a part of the old answer and a part of the new one.
  if (c.req.header('Range') !== undefined) headers.set('Accept-Ranges', 'none')
}

function endOf(c: Context<RequestEnv>): number {
  const text = endNames.map((name) => c.req.query(name)).find((value) => value !== undefined)
  if (text === undefined) return Infinity
  return /^-?\d+$/.test(text) ? Number(text) : Date.parse(text)
}
