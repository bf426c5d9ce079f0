import { join } from 'node:path'
import { cached } from '../../servers/cache.ts'
import { findTool } from '../../servers/packages.ts'
import { run, say, Sentence, tail } from '../../servers/run.ts'

const requirements = ['impyla==0.24.0', 'PyHive==0.7.0', 'pure-sasl==0.6.2', 'thrift-sasl==0.4.3']

/** A Python with the libraries that read HiveServer2 there. */
export async function pythonWithHs2(): Promise<string> {
  const folder = await cached('bench-python-hs2', async (venv) => {
    const python = await findTool('pip')
    say('installing impyla and PyHive …')
    const made = await run([python, '-m', 'venv', venv])
    if (!made.ok) throw new Sentence(`no Python environment could be made: ${tail(made)}`)
    const installed = await run([join(venv, 'bin', 'python'), '-m', 'pip', 'install', '-q', ...requirements])
    if (!installed.ok) throw new Sentence(`pip: ${tail(installed)}`)
  })
  return join(folder, 'bin', 'python')
}
