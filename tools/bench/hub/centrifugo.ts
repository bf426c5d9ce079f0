import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../../servers/daemon.ts'
import { answersOk, measuredCore, pin, until } from '../processes.ts'
import type { Contestant } from './contestants.ts'
import { ownVehicles, vehicleId, vehicles } from './fleet.ts'
import { pictureOf, type Scenario, type Words } from './scenarios.ts'

const configOf = (port: number, { event }: Scenario) => ({
  // No keep-alive of its own within a run: so the clients need not answer it.
  client: {
    allow_anonymous_connect_without_token: true,
    allowed_origins: ['*'],
    ping_interval: '3600s',
    history_max_publication_limit: 2 * vehicles,
  },
  http_server: { address: '127.0.0.1', port: String(port) },
  http_api: { insecure: true },
  health: { enabled: true },
  websocket: { use_write_buffer_pool: true },
  log: { level: 'error' },
  usage_stats: { disabled: true },
  channel: {
    without_namespace: {
      allow_subscribe_for_client: true,
      allow_subscribe_for_anonymous: true,
      // Only where clients come for the whole picture: it costs.
      ...(event === 'storm' && {
        history_size: 2 * vehicles,
        history_ttl: '600s',
        allow_history_for_subscriber: true,
        allow_history_for_anonymous: true,
      }),
    },
  },
})

/** One channel for all, or one for each vehicle: what costs it least. */
function wordsFor({ sees, event }: Scenario, client: number): Words {
  const channels = sees === 'own' ? ownVehicles(client).map(vehicleId) : ['fleet']
  const commands = [
    { connect: {} },
    ...channels.map((channel) => ({ subscribe: { channel } })),
    ...(event === 'storm' ? [{ history: { channel: 'fleet', limit: -1 } }] : []),
  ]
  return { first: commands.map((command, index) => JSON.stringify({ id: index + 1, ...command })), later: [] }
}

/** Centrifugo v6 on the one core, with the setting of its garbage collector that makes it fastest. */
export const createCentrifugo = (program: string): Contestant => ({
  carries: ({ sees, clients }) => (sees === 'box' ? 0 : Math.min(clients, 1_000)),
  async start(scenario, { dir }) {
    const port = await freePort()
    const config = join(dir, 'centrifugo.json')
    writeFileSync(config, JSON.stringify(configOf(port, scenario)))
    const server = pin(measuredCore, [program, '-c', config], { GOGC: '400', GOMAXPROCS: '1' })
    const url = `http://127.0.0.1:${port}`
    await until(() => answersOk(`${url}/health`), 'Centrifugo', server)
    return {
      pid: server.pid!,
      port,
      path: '/connection/websocket',
      picture: pictureOf(scenario),
      wordsOf: (client) => wordsFor(scenario, client),
      target: { to: 'centrifugo', url, channel: scenario.sees === 'own' ? 'per vehicle' : 'one' },
      [Symbol.dispose]: () => server.kill('SIGKILL'),
    }
  },
})
