import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { cached } from '../../servers/cache.ts'
import { ensureTools } from '../../servers/packages.ts'
import { run, Sentence, tail } from '../../servers/run.ts'

const sources = new URL('../native', import.meta.url).pathname
const programs = {
  swarm: ['swarm.c', 'connection.c', 'message.c', 'script.c'],
  'bare-send': ['bare-send.c'],
}
export type Native = Record<keyof typeof programs, string>

/** The two C programs, compiled once for as long as their sources stay the same. */
export async function buildNative(): Promise<Native> {
  const hash = createHash('sha256')
  for (const name of readdirSync(sources).toSorted()) hash.update(name).update(readFileSync(join(sources, name)))
  const folder = await cached(`bench-${hash.digest('hex').slice(0, 16)}`, async (unfinished) => {
    await ensureTools('compiler')
    for (const [name, files] of Object.entries(programs)) {
      const made = await run(['cc', '-O2', '-std=gnu11', '-o', join(unfinished, name), ...files], { cwd: sources })
      if (!made.ok) throw new Sentence(`${name} could not be compiled:\n${tail(made)}`)
    }
  })
  return { swarm: join(folder, 'swarm'), 'bare-send': join(folder, 'bare-send') }
}
