import * as fc from 'fast-check'
import { test } from 'vitest'
import { plan } from './test-plans.ts'
import { play } from './test-world.ts'

// `npm run model` plays many more, or one of them again.
const worlds = 300
const seed = Date.now() & 0x7fff_ffff

// oxlint-disable-next-line vitest/expect-expect -- what must not be, throws
test(`whatever happens, every client ends with the picture of the log, in ${worlds} worlds`, async () => {
  await fc.assert(fc.asyncProperty(plan, play), { numRuns: worlds, seed })
  process.stdout.write(`model: seed ${seed}, ${worlds} runs\n`)
}, 120_000)
