import { createServer } from 'node:http'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ApiError, createRestClient } from './rest-client.ts'

let asked: { method: string | undefined; url: string | undefined; body: string }
let answer: { status: number; body: string } = { status: 200, body: '{}' }
const server = createServer(async (request, response) => {
  const chunks = await Array.fromAsync(request)
  asked = { method: request.method, url: request.url, body: chunks.join('') }
  response.writeHead(answer.status, { 'content-type': 'application/json' }).end(answer.body)
})
let origin = ''
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  origin = typeof address === 'object' && address ? `http://127.0.0.1:${address.port}` : ''
})
afterAll(() => void server.close())

test('ids and queries are escaped, and absent parameters left out', async () => {
  answer = { status: 200, body: '{"a/b":[]}' }
  const series = await createRestClient(origin)('getSensordata', {
    params: { vehicle_id: 'v/1 ?' },
    query: { sensor_ids: 'a/b', start_ts: '0', end_ts: undefined },
  })
  expect(asked).toEqual({ method: 'GET', url: '/api/sensordata/v%2F1%20%3F?sensor_ids=a%2Fb&start_ts=0', body: '' })
  expect(series).toEqual({ 'a/b': [] })
})

test('a body is sent as JSON', async () => {
  answer = { status: 200, body: '[{"success":true}]' }
  const body = [{ action: 'stop' as const, update_type: 'position' as const, vehicle_id: 'v', sensor_id: '' }]
  expect(await createRestClient(origin)('controlSocket', { query: {}, body })).toEqual([{ success: true }])
  expect(JSON.parse(asked.body)).toEqual(body)
})

test('an error of the contract is thrown with its body', async () => {
  const body = { code: 400, message: 'no', fields: 'start_ts' }
  answer = { status: 400, body: JSON.stringify(body) }
  const call = createRestClient(origin)('getMap', {})
  await expect(call).rejects.toThrow(ApiError)
  await expect(call).rejects.toMatchObject({ status: 400, body })
})

test('a problem below /api/v1 is thrown as well, with all that it says', async () => {
  const problem = {
    type: 'urn:flasktoria:problem:invalid_parameter',
    title: 'A parameter is missing or malformed.',
    status: 400,
    detail: 'from is behind to.',
    code: 'invalid_parameter',
    fields: ['from', 'to'],
    requestId: 'r',
  }
  answer = { status: 400, body: JSON.stringify(problem) }
  const query = { sensors: 'a', from: '2', to: '1' }
  await expect(
    createRestClient(origin)('getVehicleHistory', { params: { vehicle_id: 'v' }, query }),
  ).rejects.toMatchObject({ message: '400: from is behind to. (from,to)', problem })
  expect(asked.url).toBe('/api/v1/vehicles/v/history?sensors=a&from=2&to=1')
})

test('an answer of somebody else is still an ApiError', async () => {
  answer = { status: 502, body: '<html>' }
  await expect(createRestClient(origin)('getMap', {})).rejects.toMatchObject({ status: 502, body: { code: 502 } })
})
