import { createLogger } from '@flasktoria/service-kit/logger'
import { expect, test } from 'vitest'
import { TableCheck } from './table-check.ts'

const logger = createLogger('query-api', 'silent')
const mistake = 'table sensor: column ts is STRING, and should be a BIGINT of epoch milliseconds'

/** Gives these answers one after the other, and then the last one. */
function lookingAt(...answers: (readonly string[] | Error)[]) {
  let looks = 0
  const look = async () => {
    const answer = answers[Math.min(looks++, answers.length - 1)]!
    if (answer instanceof Error) throw answer
    return answer
  }
  return { look, looks: () => looks }
}

test('tables that are right are looked at once', async () => {
  const { look, looks } = lookingAt([])
  const check = new TableCheck(look, logger, 1)
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect([check.failing(), looks()]).toEqual([undefined, 1])
  await check.close()
})

test('a mistake is said until the table is mended', async () => {
  const { look } = lookingAt(new Error('the server is not there yet'), [mistake], [mistake, 'another'], [])
  const check = new TableCheck(look, logger, 20)
  expect(check.failing()).toBeUndefined()
  await expect.poll(() => check.failing(), { interval: 1 }).toBe(mistake)
  await expect.poll(() => check.failing(), { interval: 1 }).toBe(`${mistake}; another`)
  await expect.poll(() => check.failing(), { interval: 1 }).toBeUndefined()
  await check.close()
})

test('closing gives up a look that is under way', async () => {
  const check = new TableCheck(
    (signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('given up')))),
    logger,
    60_000,
  )
  await check.close()
  expect(check.failing()).toBeUndefined()
})
