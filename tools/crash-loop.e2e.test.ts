import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { runCrashLoop } from './crash-loop/run.ts'
import { say } from './servers/run.ts'

test('twelve kills of ingest, with Redis and Kafka dying in between: every anomaly once, nothing older after something newer', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'flasktoria-crash-loop-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  const seed = Date.now() & 0x7fff_ffff
  say(`crash loop: seed ${seed}`)
  const { faults, ...report } = await runCrashLoop({ dir, kills: 12, seed, haste: 2, say: () => {} })
  expect({ seed, faults }).toEqual({ seed, faults: [] })
  expect(report.ingestKills).toBeGreaterThanOrEqual(12)
  expect(report.redisRestarts + report.redisLosses).toBeGreaterThan(0)
})
