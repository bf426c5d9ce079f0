import { spawn, type ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'

/** What is measured has one core for itself; load and clients share the other. */
export const measuredCore = '0'
export const loadCore = '1'

/** A Node program on one core. Its errors are shown, its output is read by `linesOf`. */
export const runPinned = (core: string, [program, ...args]: [string, ...string[]], env: Record<string, string> = {}) =>
  spawn('taskset', ['-c', core, process.execPath, program, ...args], {
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  })

export async function* linesOf(child: ChildProcess): AsyncGenerator<string, undefined> {
  yield* createInterface({ input: child.stdout! })
}

export const script = (name: string) => new URL(name, import.meta.url).pathname

/** Asks again until `isSo`. @throws after 60 seconds */
export async function until(isSo: () => Promise<boolean>, what: string): Promise<void> {
  for (const deadline = Date.now() + 60_000; Date.now() < deadline; await sleep(20)) if (await isSo()) return
  throw new Error(`${what} did not come within a minute`)
}

export const answersOk = (url: string) =>
  fetch(url).then(
    ({ ok }) => ok,
    () => false,
  )
