import { expect, test } from 'vitest'
import { createScriptedWarehouse } from './scripted-warehouse.ts'
import { anomaly, createTestApp, position, reading, testNow } from './test-app.ts'

const catalogues = {
  names: { 'car-1': 'Ada' },
  sensors: [{ id: 'pid_13_mode_1', name: 'Vehicle Speed', unit: 'km/h', high: 120, max: 300 }],
  anomalies: [
    {
      id: 3,
      description: 'High fuel use',
      cause: 'A leak',
      actions: ['Stop', 'Look'],
      downtimeMinutes: 30,
      costImpact: 1_000,
      sensors: [],
    },
  ],
}

/** A small fleet, part of it known to the history only. */
function createFleet() {
  const { warehouse } = createScriptedWarehouse({
    readings: [
      ['pid_13_mode_1', testNow - 30_000, 50.5],
      ['pid_13_mode_1', testNow - 40_000, 0.30000000000000004],
    ],
    anomalies: [['car-1', testNow - 90_000, 3, 'long ago', 'confirmed']],
  })
  const { app, hear } = createTestApp({ warehouse, catalogues })
  hear(
    position('car-1', testNow - 1_000, 48.137154, 11.576124),
    position('a"b\\c 🚚', testNow, -90, 1e-7),
    reading('car-1', 'pid_13_mode_1', testNow - 5_000, '3.25'),
    reading('car-1', 'pid_47_mode_1', testNow - 4_000, '-0.5'),
    anomaly('car-1', 3, testNow - 2_000, 'today'),
  )
  return app
}

const sensors = '[{"sensor_id":"pid_13_mode_1","sensor_name":"Vehicle Speed","unit":"km/h","high":120}]'
const mute = '{"action":"stop","update_type":"position","vehicle_id":"car-1","sensor_id":""}'

// Front ends that are deployed read exactly this. `timestamp`, `unit`, `high` and `anomaly_id` are ours; the old fields stand first.
test.for([
  [
    'GET',
    '/api/map',
    '',
    200,
    '{"vehicles":[{"name":"Ada","id":"car-1","lat":48.137154,"long":11.576124,"status":"ok","timestamp":1795521599000},{"name":"Vehicle a\\"b\\\\c 🚚","id":"a\\"b\\\\c 🚚","lat":-90,"long":1e-7,"status":"ok","timestamp":1795521600000}],"updateWebSocket":"ws://fleet.example/ws?client=fresh-client-id"}',
  ],
  [
    'GET',
    '/api/vehicle/car-1',
    '',
    200,
    `{"name":"Ada","status":"ok","sensors":${sensors},"sensordata":{"fuel":[{"timestamp":1795521596000,"value":-0.5}],"speed":[{"timestamp":1795521595000,"value":3.25}],"kpi":[]}}`,
  ],
  [
    'GET',
    '/api/vehicle/nobody',
    '',
    200,
    `{"name":"Vehicle nobody","status":"ok","sensors":${sensors},"sensordata":{"fuel":[],"speed":[],"kpi":[]}}`,
  ],
  [
    'GET',
    '/api/sensordata/car-1?sensor_ids=pid_13_mode_1,none&start_ts=1795521540000',
    '',
    200,
    '{"pid_13_mode_1":[{"timestamp":1795521595000,"value":3.25},{"timestamp":1795521570000,"value":50.5},{"timestamp":1795521560000,"value":0.30000000000000004}],"none":[]}',
  ],
  [
    'GET',
    '/api/anomalies?start_ts=1795521500000',
    '',
    200,
    '[{"desc":"High fuel use","cost_impact":"1000","vehicle_id":"car-1","declared_timestamp":"confirmed","detection_timestamp":"today","cause":"A leak","actions":"Stop/Look","downtime":"30","anomaly_id":3,"timestamp":1795521598000},{"desc":"High fuel use","cost_impact":"1000","vehicle_id":"car-1","declared_timestamp":"confirmed","detection_timestamp":"long ago","cause":"A leak","actions":"Stop/Look","downtime":"30","anomaly_id":3,"timestamp":1795521510000}]',
  ],
  ['POST', '/api/wsctl', `[${mute}]`, 200, '[{"success":true}]'],
  ['POST', '/api/wsctl', 'no JSON', 400, '{"code":400,"message":"The body is not JSON.","fields":""}'],
  [
    'GET',
    '/api/sensordata/car-1',
    '',
    400,
    '{"code":400,"message":"sensor_ids is missing, start_ts is missing.","fields":"sensor_ids,start_ts"}',
  ],
  ['GET', '/api/nothing', '', 404, '{"code":404,"message":"There is nothing at this path.","fields":""}'],
  ['PUT', '/api/map', '', 405, '{"code":405,"message":"This path does not know that method.","fields":""}'],
] as const)('%s %s %s is answered as ever, to the byte', async ([method, path, body, status, text]) => {
  const response = await createFleet().request(path, { method, body: body || null, headers: { Host: 'fleet.example' } })
  expect([response.status, response.headers.get('Content-Type'), await response.text()]).toEqual([
    status,
    'application/json',
    text,
  ])
})

test('the costs of a vehicle are answered as ever, to the byte', async () => {
  const { app, hear } = createTestApp({ catalogues })
  hear(
    anomaly('v', 3, testNow - 1),
    reading('v', 'pid_13_mode_1', testNow, '50'),
    reading('v', 'pid_13_mode_1', testNow - 1, '0'),
  )
  const costs = '"why":"Anomalies in the last'
  const use = '{"value":50,"why":"Moving in 50 % of 2 speed readings of the last'
  expect(await (await app.request('/api/cost/v')).text()).toBe(
    `{"cost_index":{"day":{"value":1000,${costs} 24 hours: 1 × High fuel use (1,000)."},"week":{"value":1000,${costs} 7 days: 1 × High fuel use (1,000)."},"month":{"value":1000,${costs} 30 days: 1 × High fuel use (1,000)."}},` +
      `"efficiency_index":{"day":${use} 24 hours; mean speed 25 km/h."},"week":${use} 7 days; mean speed 25 km/h."},"month":${use} 30 days; mean speed 25 km/h."}}}`,
  )
})
