import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../servers/daemon.ts'
import { run, tail } from '../servers/run.ts'
import type { StackStatus } from '../stack/status.ts'

const root = join(import.meta.dirname, '..', '..')

/** A stack in a folder of its own, driven as a person would: by its commands. */
export async function stackUnderTest(settings: Record<string, string> = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'flasktoria-stack-'))
  const port = String(await freePort())
  const env: NodeJS.ProcessEnv = { ...process.env }
  // Those of the other tests: a stack brings its own, unless the settings say otherwise.
  for (const name of ['REDIS_URL', 'KAFKA_BROKERS', 'HS2_URL']) delete env[name]
  Object.assign(env, settings)
  const command = (...words: string[]) =>
    run([process.execPath, 'tools/stack.ts', ...words, '--dir', dir], { cwd: root, env })

  const status = async (): Promise<StackStatus> => {
    const outcome = await command('status')
    if (!outcome.ok) throw new Error(tail(outcome))
    return JSON.parse(outcome.stdout) as StackStatus
  }
  const pidsOf = async (name: string) =>
    (await status()).services.filter((one) => one.name === name).map(({ pid }) => pid)
  return {
    dir,
    command,
    status,
    pidsOf,
    up: async (...words: string[]) => {
      const outcome = await command('up', '--port', port, ...words)
      if (!outcome.ok) throw new Error(tail(outcome, 20))
    },
    /** As a crash would. */
    kill: async (name: string): Promise<number> => {
      const [pid] = await pidsOf(name)
      if (!pid) throw new Error(`${name} does not run`)
      process.kill(pid, 'SIGKILL')
      return pid
    },
    remove: async () => {
      await command('down')
      rmSync(dir, { recursive: true, force: true })
    },
  }
}
export type StackUnderTest = Awaited<ReturnType<typeof stackUnderTest>>
