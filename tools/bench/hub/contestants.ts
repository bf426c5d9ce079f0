import { subprotocol } from '@flasktoria/contracts/stream'
import { freePort } from '../../servers/daemon.ts'
import { answersOk, linesOf, measuredCore, runPinned, script, until } from '../processes.ts'
import { pictureOf, shareOf, wordsOf, type Scenario } from './scenarios.ts'
import type { SwarmPlan } from './swarm.ts'
import type { Target } from './writer.ts'

export type Place = {
  dir: string
  redisUrl: string
  /** How many frames a second a client had of the hub in the same run. */
  hubFramesPerSecond: number
}

/** A server that runs, and how clients and updates come to it. */
type Server = Pick<SwarmPlan, 'port' | 'path' | 'protocol' | 'picture' | 'wordsOf'> & {
  pid: number
  target: Target
} & Disposable

export type Contestant = {
  /** How many of the scenario's clients it can carry on one core; 0: it has nothing like that. */
  carries(scenario: Scenario): number
  start(scenario: Scenario, place: Place): Promise<Server>
}

/** What our hub is told, and the peers with npm ws understand too. */
const clientsOf = (scenario: Scenario) => {
  const hasWords = wordsOf(scenario, 0).first.length > 0
  return {
    path: '/ws',
    protocol: hasWords ? subprotocol : undefined,
    picture: pictureOf(scenario),
    wordsOf: hasWords ? (client: number) => wordsOf(scenario, client) : undefined,
  }
}

export const ours: Contestant = {
  carries: ({ clients }) => clients,
  async start(scenario, { redisUrl }) {
    const port = await freePort()
    const env = { PORT: String(port), REDIS_URL: redisUrl, LOG_LEVEL: 'error' }
    const hub = runPinned(measuredCore, ['services/stream-hub/src/main.ts'], env)
    await until(() => answersOk(`http://127.0.0.1:${port}/readyz`), 'the hub', hub)
    const target = { to: 'live log', url: redisUrl } as const
    return { pid: hub.pid!, port, ...clientsOf(scenario), target, [Symbol.dispose]: () => hub.kill('SIGKILL') }
  },
}

async function startWs(scenario: Scenario, redisUrl: string, program: string, ...args: string[]): Promise<Server> {
  const port = await freePort()
  const peer = runPinned(measuredCore, [script(program), String(port), redisUrl, ...args])
  await linesOf(peer).next()
  const target = { to: 'live log', url: redisUrl } as const
  return { pid: peer.pid!, port, ...clientsOf(scenario), target, [Symbol.dispose]: () => peer.kill('SIGKILL') }
}

/** Frames that the naive program sends in a second with a core to itself, and time to spare: fewer where it has to choose. */
const naiveFramesPerSecond = { all: 80_000, own: 30_000, box: 30_000 }

export const naiveWs: Contestant = {
  carries(scenario) {
    const updatesPerClient = scenario.updatesPerSecond * shareOf(scenario)
    return Math.min(scenario.clients, Math.floor(naiveFramesPerSecond[scenario.sees] / updatesPerClient))
  },
  start: (scenario, { redisUrl }) => startWs(scenario, redisUrl, 'ws-broadcast.ts'),
}

export const batchingWs: Contestant = {
  carries: ({ clients }) => clients,
  start: (scenario, { redisUrl, hubFramesPerSecond }) =>
    startWs(scenario, redisUrl, 'ws-batching.ts', String(Math.round(1_000 / hubFramesPerSecond))),
}
