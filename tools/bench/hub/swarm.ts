import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { linesOf, loadCore, pin } from '../processes.ts'
import type { Words } from './scenarios.ts'

export type SwarmPlan = {
  program: string
  /** For the files that tell the clients what to say. */
  dir: string
  port: number
  path: string
  protocol?: string | undefined
  clients: number
  /** How many vehicles make the whole picture of a client. */
  picture?: number | undefined
  wordsOf?: ((client: number) => Words) | undefined
}

/** What came since the last count. */
export type Counts = {
  event: 'count'
  closeCode: number
} & Record<
  'seconds' | 'open' | 'closed' | 'messages' | 'updates' | 'snapshotUpdates' | 'leaves' | 'errors' | 'bytes',
  number
> &
  Record<'p50Ms' | 'p99Ms', number>

/** When clients came to a moment: `count` of them did, `lost` can't any more. The last one that connected anew did at `openMs`. */
export type Moments = { event: 'connected' | 'picture' | 'current' } & Record<
  'of' | 'count' | 'lost' | 'openMs' | 'p50Ms' | 'lastMs',
  number
>

type Answer = Counts | Moments | { event: 'reading' | 'expecting' }

/** The clients, when they are connected. One question at a time. */
export async function startSwarm(plan: SwarmPlan) {
  const child = pin(loadCore, [plan.program, ...argumentsFor(plan)])
  const lines = linesOf(child)
  const hear = async <Said extends Answer>(event: Said['event']): Promise<Said> => {
    const line = (await lines.next()).value
    const said = line === undefined ? undefined : (JSON.parse(line) as Said)
    if (said?.event !== event) throw new Error(`the swarm said ${line ?? 'nothing more'} instead of ${event}`)
    return said
  }
  const tell = (words: string) => child.stdin.write(`${words}\n`)
  try {
    const connected = await hear<Moments>('connected')
    if (connected.count < connected.of)
      throw new Error(`only ${connected.count} of ${connected.of} clients could connect within a minute`)
  } catch (error) {
    child.kill()
    throw error
  }
  return {
    pid: child.pid!,
    count: () => (tell('count'), hear<Counts>('count')),
    /** The first so many stop to read. */
    stall: (clients: number) => tell(`stall ${clients}`),
    /** They read again. */
    read: () => (tell('read'), hear<Answer>('reading')),
    /** Waits until each of them has an update from after that. */
    current: () => hear<Moments>('current'),
    /** All are cut and come again at once, until each has seen every vehicle. */
    storm: () => (tell('storm'), hear<Moments>('picture')),
    /** From now on only updates of this time or later count. */
    expect: (sinceMs: number) => (tell(`expect ${sinceMs}`), hear<Answer>('expecting')),
    /** Waits until each has seen every vehicle by those. */
    picture: () => hear<Moments>('picture'),
    [Symbol.dispose]: () => child.kill(),
  }
}
export type Swarm = Awaited<ReturnType<typeof startSwarm>>

function argumentsFor({ dir, port, path, protocol, clients, picture, wordsOf }: SwarmPlan): string[] {
  const words = Array.from({ length: clients }, (_, client) => wordsOf?.(client) ?? { first: [], later: [] })
  const file = (name: keyof Words): string[] => {
    if (words.every((client) => client[name].length === 0)) return []
    const place = join(dir, `${name}.txt`)
    writeFileSync(place, words.map((client) => `${client[name].join('\t')}\n`).join(''))
    return [place]
  }
  return [
    '-p',
    String(port),
    '-n',
    String(clients),
    '-u',
    path,
    ...(protocol === undefined ? [] : ['-s', protocol]),
    ...(picture === undefined ? [] : ['-e', String(picture)]),
    ...file('first').flatMap((place) => ['-f', place]),
    ...file('later').flatMap((place) => ['-l', place]),
  ]
}
