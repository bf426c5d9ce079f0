import { join } from 'node:path'
import { cached } from './cache.ts'
import { findTool } from './packages.ts'
import { run, say, Sentence, tail } from './run.ts'

/** A Python with these packages, made once on this machine. Their programs are started by it: they name the place where they were made. */
export async function pythonWith(name: string, requirements: readonly string[]): Promise<string> {
  const folder = await cached(name, async (venv) => {
    const python = await findTool('pip')
    say(`installing ${requirements.join(', ')} …`)
    const made = await run([python, '-m', 'venv', venv])
    if (!made.ok) throw new Sentence(`no Python environment could be made: ${tail(made)}`)
    const installed = await run([join(venv, 'bin', 'python'), '-m', 'pip', 'install', '-q', ...requirements])
    if (!installed.ok) throw new Sentence(`pip: ${tail(installed)}`)
  })
  return join(folder, 'bin', 'python')
}
