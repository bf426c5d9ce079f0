import { expect, test } from 'vitest'
import { readHealth } from './health.ts'

const well = { name: 'log', failing: () => undefined }
const ill = { name: 'warehouse', failing: () => 'no answer' }

test('a service is ok when nothing fails', async () => {
  expect(await readHealth([well])).toEqual({ status: 'ok', checks: { log: 'ok' } })
})

test('a check that only degrades keeps the service ready', async () => {
  expect((await readHealth([well, { ...ill, isDegradedOnly: true }])).status).toBe('degraded')
})

test('a failing check makes it unready, whatever else degrades', async () => {
  expect(await readHealth([{ ...well, isDegradedOnly: true, failing: () => 'slow' }, ill])).toEqual({
    status: 'unready',
    checks: { log: 'slow', warehouse: 'no answer' },
  })
})

test('a check that throws fails with its message', async () => {
  const broken = { name: 'log', failing: () => Promise.reject(new Error('refused')) }
  expect(await readHealth([broken])).toEqual({ status: 'unready', checks: { log: 'refused' } })
})
