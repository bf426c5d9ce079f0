import { problemSchema } from '@flasktoria/contracts/problems'
import { anomalyOperations } from '@flasktoria/contracts/rest-v1-anomalies'
import { coverageSchema } from '@flasktoria/contracts/coverage'
import { expect, test } from 'vitest'
import { createScriptedWarehouse } from './scripted-warehouse.ts'
import { anomaly, createTestApp, testNow } from './test-app.ts'

type App = ReturnType<typeof createTestApp>['app']
const day = 86_400_000

async function ask(app: App, query: string, path: 'anomalies' | 'anomalies/counts' = 'anomalies') {
  const response = await app.request(`/api/v1/${path}?${query}`)
  const body = JSON.parse(await response.text())
  const { listAnomalies, countAnomalies } = anomalyOperations
  const operation = path === 'anomalies' ? listAnomalies : countAnomalies
  if (response.status === 200) operation.ok.schema.parse(body)
  else problemSchema.parse(body)
  return { status: response.status, body }
}
const stored = (vehicle: string, ts: number, id: number, detected = 'd') => [
  vehicle,
  ts,
  id,
  detected,
  'stored',
  '',
  '',
]

function createFleet() {
  const fleet = createTestApp()
  fleet.hear(
    anomaly('v', 0, testNow - 20),
    anomaly('w', 4, testNow - 10, 'seen "x", twice'),
    anomaly('v', 99, testNow - 30),
    anomaly('v', 1, testNow - day),
  )
  return fleet
}
const typesIn = ({ body }: { body: { rows: { type: number }[] } }) => body.rows.map(({ type }) => type)

test('200: newest first, unknown types too, with what the catalogue says', async () => {
  const { app } = createFleet()
  const { status, body } = await ask(app, `from=${testNow - 2 * day}`)
  expect(status).toBe(200)
  expect(body).toMatchObject({ from: testNow - 2 * day, to: testNow, truncated: false, next: null })
  expect(coverageSchema.parse(body.coverage)).toMatchObject({ history: null, cursor: 'test.4' })
  expect(body.rows.map(({ type }: { type: number }) => type)).toEqual([4, 0, 99, 1])
  expect(body.rows[0]).toEqual({
    vehicle: 'w',
    timestamp: testNow - 10,
    type: 4,
    severity: 'high',
    description: 'Engine temperature over the safe limit',
    cause: 'The coolant is hotter than the engine may run',
    actions: 'Stop the engine/Let it cool down/Check the coolant level',
    costImpact: 20,
    downtimeMinutes: 30,
    detectionTime: 'seen "x", twice',
    confirmationTime: 'confirmed',
  })
  expect(body.rows[2]).toMatchObject({ description: 'Anomaly 99', severity: null, costImpact: 0 })
})

test('200: the filters are met all together', async () => {
  const { app } = createFleet()
  const asked = async (query: string) => typesIn(await ask(app, `from=0&${query}`))
  expect(await asked('vehicle=v')).toEqual([0, 99, 1])
  expect(await asked('type=99,4')).toEqual([4, 99])
  expect(await asked('severity=high,low')).toEqual([4, 1])
  expect(await asked('severity=low&type=4')).toEqual([])
  expect(await asked(`vehicle=v&to=${testNow - 30}`)).toEqual([99, 1])
  expect(await asked('type=-7')).toEqual([])
})

test('200: `next` goes on behind the last row, until there is none', async () => {
  const { app } = createFleet()
  const seen: number[] = []
  let cursor = ''
  for (let page = 0; page < 4; page++) {
    const { body } = await ask(app, `from=0&limit=1${cursor && `&cursor=${cursor}`}`)
    seen.push(...typesIn({ body }))
    expect(body.truncated).toBe(page < 3)
    cursor = body.next
  }
  expect(seen).toEqual([4, 0, 99, 1])
  expect(cursor).toBe(null)
})

test('200: from either end, page by page, they are the same ones', async () => {
  const { app } = createFleet()
  const walk = async (order: string) => {
    const rows: unknown[] = []
    for (let cursor: string | null = ''; cursor !== null;) {
      const { body } = await ask(app, `from=0&limit=3&order=${order}${cursor && `&cursor=${cursor}`}`)
      rows.push(...body.rows)
      cursor = body.next as string | null
    }
    return rows
  }
  expect(await walk('asc')).toEqual((await walk('desc')).toReversed())
  expect(typesIn(await ask(app, 'from=0&order=asc'))).toEqual([1, 99, 0, 4])
})

test('200: CSV and NDJSON hold the same rows', async () => {
  const { app } = createFleet()
  const csv = await app.request('/api/v1/anomalies?from=0&type=4&format=csv')
  expect(csv.headers.get('Content-Type')).toMatch(/^text\/csv/)
  expect(await csv.text()).toBe(
    'vehicle,timestamp,type,severity,description,cause,actions,costImpact,downtimeMinutes,detectionTime,confirmationTime\r\n' +
      `w,${testNow - 10},4,high,Engine temperature over the safe limit,The coolant is hotter than the engine may run,` +
      'Stop the engine/Let it cool down/Check the coolant level,20,30,"seen ""x"", twice",confirmed\r\n',
  )
  const ndjson = await app.request('/api/v1/anomalies?from=0&limit=1', { headers: { Accept: 'application/x-ndjson' } })
  const lines = (await ndjson.text())
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(lines).toEqual([
    expect.objectContaining({ vehicle: 'w', type: 4 }),
    { end: { rows: 1, truncated: true, next: expect.any(String), coverage: expect.any(Object) } },
  ])
})

test('200: what history and window both know counts once, with the text of the history', async () => {
  const both = stored('v', testNow - 20, 0)
  const { app, hear } = createTestApp({ warehouse: createScriptedWarehouse({ anomalies: [both] }).warehouse })
  hear(anomaly('v', 0, testNow - 20), anomaly('v', 0, testNow - 5))
  const { body } = await ask(app, 'from=0')
  expect(body.rows.map(({ confirmationTime }: { confirmationTime: string }) => confirmationTime)).toEqual([
    'confirmed',
    'stored',
  ])
  expect(body.coverage.history).toEqual({ from: 0, to: testNow - 60_000 })
})

test('200: counts by type, vehicle, severity, hour and day', async () => {
  const { app } = createFleet()
  const counts = async (by: string, more = '') => {
    const { body } = await ask(app, `from=0&by=${by}${more}`, 'anomalies/counts')
    return body.rows.map(({ key, count }: { key: unknown; count: number }) => [key, count])
  }
  expect(await counts('type')).toEqual([0, 1, 4, 99].map((type) => [type, 1]))
  expect(await counts('vehicle')).toEqual([
    ['v', 3],
    ['w', 1],
  ])
  expect(await counts('severity')).toEqual([
    ['high', 1],
    ['low', 1],
    ['medium', 1],
    [null, 1],
  ])
  const today = Date.UTC(2026, 10, 24)
  expect(await counts('day')).toEqual([
    [today - day, 1],
    [today, 3],
  ])
  expect(await counts('hour', '&vehicle=w')).toEqual([[testNow - 3_600_000, 1]])
  const { body } = await ask(app, 'from=0&by=vehicle&limit=1', 'anomalies/counts')
  expect(body).toMatchObject({ rows: [{ key: 'v', count: 3 }], truncated: true, next: null, by: 'vehicle' })
})

test.each([
  ['', ['from']],
  ['from=0&type=x', ['type']],
  ['from=0&type=', ['type']],
  ['from=0&type=99999999999', ['type']],
  ['from=0&severity=worst', ['severity']],
  ['from=0&vehicle=', ['vehicle']],
  ['from=0&limit=0', ['limit']],
  ['from=0&order=newest', ['order']],
  ['from=0&cursor=nonsense', ['cursor']],
  [`from=0&cursor=${Buffer.from('[0,"v",1,{}]').toString('base64url')}`, ['cursor']],
  [`from=${testNow + 1}`, ['from']],
  ['from=0&by=type', ['by']],
])('400: anomalies?%s', async (query, fields) => {
  const { app } = createTestApp()
  expect(await ask(app, query)).toMatchObject({ status: 400, body: { code: 'invalid_parameter', fields } })
})

test('400: counts of nothing that can be counted', async () => {
  const { app } = createTestApp()
  for (const query of ['from=0', 'from=0&by=colour', 'from=0&by=type&cursor=a'])
    expect(await ask(app, query, 'anomalies/counts')).toMatchObject({ status: 400 })
})

test('406, 503, 504: as every question about history', async () => {
  const { app } = createTestApp()
  const refused = await app.request('/api/v1/anomalies?from=0', { headers: { Accept: 'application/xml' } })
  expect(refused.status).toBe(406)
  for (const [fail, status] of [
    ['unavailable', 503],
    ['overloaded', 503],
    ['timeout', 504],
  ] as const) {
    const failing = createTestApp({ warehouse: createScriptedWarehouse({ fail }).warehouse })
    expect(await ask(failing.app, 'from=0')).toMatchObject({ status })
    expect(await ask(failing.app, 'from=0&by=day', 'anomalies/counts')).toMatchObject({ status })
  }
})
