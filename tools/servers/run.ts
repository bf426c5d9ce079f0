import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'

/** A failure that the person at the terminal can do something about; it needs no stack trace. */
export class Sentence extends Error {
  override readonly name = 'Sentence'
}

/** Progress belongs on stderr: stdout is the answer. */
export const say = (line: string) => process.stderr.write(`flasktoria: ${line}\n`)

export type Outcome = { ok: boolean; stdout: string; stderr: string }

/** Runs a program to its end; what it says is returned, not shown. A program that is not there is an outcome too. */
export async function run(
  command: readonly [string, ...string[]],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<Outcome> {
  const [program, ...args] = command
  const child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
  const said = Promise.all([text(child.stdout), text(child.stderr)])
  try {
    const [code] = await once(child, 'close')
    const [stdout, stderr] = await said
    return { ok: code === 0, stdout, stderr }
  } catch (error) {
    return { ok: false, stdout: '', stderr: error instanceof Error ? error.message : String(error) }
  }
}

/** The last lines of what a program said, for an error message. */
export const tail = ({ stdout, stderr }: Outcome, lines = 5) =>
  `${stdout}\n${stderr}`.trim().split('\n').slice(-lines).join('\n')
