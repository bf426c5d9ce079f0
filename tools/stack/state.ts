import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findDaemon, type Daemon, type DaemonPlan } from '../servers/daemon.ts'

/** One process of the stack. `name` is what `status` says: both hubs are `stream-hub`. */
export type StackService = {
  name: string
  url: string
  plan: DaemonPlan
  /** Servers answer in their own protocols, services on /readyz, and some on none. */
  readiness: 'server' | 'http' | 'none'
}

/** The forms of records, each with a topic of its own. */
type StackTopic = 'sensor' | 'sensorV5' | 'anomaly' | 'envelopeSource' | 'envelopeHostIp' | 'confluent' | 'json'

export type StackState = {
  origin: string
  kafka: { brokers: string; topics: Record<StackTopic, string>; schemaFiles: Record<number, string> }
  redis: { url: string }
  hs2: { url: string }
  /** In the order of their start. */
  services: StackService[]
}

const stateFile = (dir: string) => join(dir, 'stack.json')

export const readState = (dir: string): StackState | undefined =>
  existsSync(stateFile(dir)) ? (JSON.parse(readFileSync(stateFile(dir), 'utf8')) as StackState) : undefined

/** Addresses from outside may hold passwords: only the owner reads it. */
export function writeState(dir: string, state: StackState): void {
  mkdirSync(dir, { recursive: true })
  writeFileSync(`${stateFile(dir)}.new`, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 })
  renameSync(`${stateFile(dir)}.new`, stateFile(dir))
}

export const forgetState = (dir: string): void => rmSync(stateFile(dir), { force: true })

export const findService = ({ plan }: StackService): Daemon | undefined => findDaemon(plan)

/** The process that brings the others back. It is no part of the picture that `status` gives. */
export const supervisorPlan = (dir: string): DaemonPlan => ({
  name: 'supervisor',
  dir,
  command: [process.execPath, join(import.meta.dirname, 'supervisor.ts'), dir],
})
