import { existsSync, globSync, mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { withLock } from '../servers/cache.ts'
import { run, say, Sentence, tail } from '../servers/run.ts'

const root = join(import.meta.dirname, '..', '..')
const folder = join(root, 'apps', 'console')
const built = join(folder, 'dist', 'index.html')

const sources = () =>
  globSync(['apps/console/{index.html,vite.config.*,src/**/*}', 'packages/{client,contracts}/src/**/*.ts'], {
    cwd: root,
  })

const isStale = () =>
  !existsSync(built) || sources().some((path) => statSync(join(root, path)).mtimeMs > statSync(built).mtimeMs)

/** The folder with the console's files, built when it is missing or older than its sources. */
export async function buildConsole(): Promise<string> {
  mkdirSync(join(folder, 'dist'), { recursive: true })
  await withLock(join(root, 'var', 'console.lock'), async () => {
    if (!existsSync(join(folder, 'index.html')) || !isStale()) return
    say('building the console …')
    const build = await run(['vite', 'build', '--logLevel', 'warn'], { cwd: folder })
    if (!build.ok) throw new Sentence(`the console could not be built: ${tail(build, 12)}`)
  })
  return join(folder, 'dist')
}
