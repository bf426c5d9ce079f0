import { formatsOf, queryOf, type Operation } from '@flasktoria/contracts/operation'
import { problems, type ProblemCode } from '@flasktoria/contracts/problems'
import { commonProblems, operations } from '@flasktoria/contracts/rest'
import { createDuckdbWarehouse } from '@flasktoria/warehouse/warehouse-duckdb'
import * as fc from 'fast-check'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { createTestApp, testNow } from './test-app.ts'

vi.setConfig({ testTimeout: 120_000 })

const directory = mkdtempSync(join(tmpdir(), 'hostile-parameters-'))
let warehouse: Awaited<ReturnType<typeof createDuckdbWarehouse>>
beforeAll(async () => {
  warehouse = await createDuckdbWarehouse({ directory })
})
afterAll(async () => {
  await warehouse.close()
  rmSync(directory, { recursive: true })
})

const cursor = (json: string) => Buffer.from(json).toString('base64url')
const hostile = fc.oneof(
  fc.constantFrom(
    "' OR '1'='1",
    "'; DROP TABLE sensor_history; --",
    "\\' OR 1=1 --",
    '\0',
    'a\0b',
    '${env:PATH}',
    '-1',
    '0',
    '1e999',
    'NaN',
    '9'.repeat(20),
    '253402300799999',
    '253402300800000',
    '-62135596800001',
    '9999-12-31T23:59:60Z',
    '2026-02-30T00:00:00Z',
    '0000-00-00T00:00:00Z',
    '%',
    '%00',
    '%ED%A0%80',
    ',',
    ',,',
    'a,',
    '\u{10ffff}',
    cursor('["\\ud800"]'),
    cursor(`[${testNow},"\\ud800",1,"x"]`),
    cursor(`[${testNow},"v",1,"\\u0000"]`),
    cursor(`[${testNow},"\\ud800"]`),
    cursor(`[1e308,"v",1,"x"]`),
    cursor('{"__proto__":1}'),
    'x'.repeat(9_000),
  ),
  fc.string({ unit: 'binary' }),
)
const plausible: Record<string, string> = {
  from: String(testNow - 60_000),
  at: String(testNow),
  to: String(testNow),
  start_ts: String(testNow - 60_000),
  sensors: 'pid_13_mode_1',
  sensor_ids: 'pid_13_mode_1',
  vehicle_id: 'v',
  west: '1',
  east: '2',
  south: '1',
  north: '2',
  by: 'type',
}

const gets = Object.entries<Operation>(operations).filter(([, { method }]) => method === 'get')

test.each(gets)('%s: whatever its parameters say, it answers as the contract says', async (_, operation) => {
  const { app } = createTestApp({ warehouse })
  const inPath = Object.keys(operation.request.params?.shape ?? {})
  const inQuery = Object.keys(queryOf(operation))
  const listed: readonly ProblemCode[] = [...operation.problems, ...commonProblems]
  const statuses = [200, ...listed.map((code) => problems[code].status)]
  const wishes = fc.dictionary(fc.constantFrom(...inPath, ...inQuery, 'stranger'), hostile, { maxKeys: 3 })
  await fc.assert(
    fc.asyncProperty(wishes, fc.constantFrom(...formatsOf(operation)), async (wished, format) => {
      const asked: Record<string, string> = { ...plausible, ...(inQuery.includes('format') && { format }), ...wished }
      const path = operation.path.replaceAll(/\{(\w+)\}/g, (__, name: string) =>
        encodeURIComponent((asked[name] ?? 'v').toWellFormed()),
      )
      const query = new URLSearchParams(Object.entries(asked).filter(([name]) => inQuery.includes(name)))
      const response = await app.request(`${path}?${query.toString()}`)
      const text = await response.text()
      const isExpected = statuses.includes(response.status) && response.status < 500
      expect({ asked, status: response.status, isExpected, text: isExpected ? '' : text }).toMatchObject({
        isExpected: true,
      })
    }),
    { numRuns: 150 },
  )
})
