import { expect, test } from 'vitest'
import { rehearse } from './rehearsal.ts'
import { hubOptions } from './test-hub.ts'

test('every client of the rehearsal keeps up to its end, as those of a real hub do', async () => {
  // Eleven clients, most of whom get a frame for each append.
  expect(await rehearse(hubOptions)).toBeGreaterThan(10_000)
})
