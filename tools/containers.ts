import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cacheDir, cached } from './servers/cache.ts'
import { sparkJars } from './servers/hs2.ts'
import { run, say, Sentence, tail, type Outcome } from './servers/run.ts'

const root = join(import.meta.dirname, '..')

/** What the Dockerfile and docker-compose.yml start from. */
const publicImages = ['node:24-trixie-slim', 'nginx:1.30', 'redis:8', 'apache/kafka:4.1.0']
const sparkImage = 'apache/spark:3.5.9'

/** A container engine with compose. */
export type Engine = AsyncDisposable & {
  env: NodeJS.ProcessEnv
  docker: (...args: string[]) => Promise<Outcome>
}

const engineIn = (env: NodeJS.ProcessEnv, stop: () => Promise<void>): Engine => ({
  env,
  docker: (...args) => run(['docker', ...args], { cwd: root, env }),
  [Symbol.asyncDispose]: stop,
})

const answers = async ({ docker }: Engine) => (await docker('version')).ok && (await docker('compose', 'version')).ok

/** @throws Sentence */
async function runScript(command: [string, ...string[]], env: NodeJS.ProcessEnv = process.env): Promise<string> {
  const outcome = await run(command, { env })
  if (!outcome.ok) throw new Sentence(`${command.join(' ')} failed: ${tail(outcome)}`)
  return outcome.stdout
}

/**
 * The engine of this machine. Where there is none, CONTAINER_ENGINE_SCRIPT may name a program that brings one: it knows the
 * verbs `install`, `up`, `env` (prints what a shell has to export) and `down`, each followed by a folder.
 * @throws Sentence
 */
export async function findEngine(): Promise<Engine | undefined> {
  const present = engineIn({ ...process.env }, async () => {})
  if (await answers(present)) return present
  const script = process.env['CONTAINER_ENGINE_SCRIPT']
  if (!script) return undefined
  say('starting a container engine …')
  const folder = await cached('container-engine', async (empty) => void (await runScript([script, 'install', empty])))
  await runScript([script, 'up', folder])
  const stop = async () => void (await runScript([script, 'down', folder]))
  const variables = await runScript(['bash', '-euc', 'eval "$("$0" env "$1")"; env -0', script, folder])
  const pairs = variables.split('\0').map((line) => /^([^=]+)=(.*)$/s.exec(line)?.slice(1) ?? [])
  const started = engineIn(Object.fromEntries(pairs.filter(({ length }) => length === 2)), stop)
  if (await answers(started)) return started
  await stop()
  throw new Sentence(`the engine that ${script} started does not answer`)
}

/**
 * Brings the base images that the engine lacks. They are pulled; where BASE_IMAGES_SCRIPT names a program it builds stand-ins
 * under the same names instead, and the Spark one is made of the jars that the tests use anyway.
 * @throws Sentence
 */
export async function ensureBaseImages(engine: Engine): Promise<void> {
  const isMissing = async (image: string) => !(await engine.docker('image', 'inspect', image)).ok
  const missing: string[] = []
  for (const image of [...publicImages, sparkImage]) if (await isMissing(image)) missing.push(image)
  if (missing.length === 0) return
  const script = process.env['BASE_IMAGES_SCRIPT']
  say(`${script ? 'building stand-ins for' : 'pulling'} ${missing.join(', ')} …`)
  if (!script) {
    for (const image of missing) await must(engine, 'pull', '--quiet', image)
    return
  }
  const work = join(cacheDir, 'base-images')
  mkdirSync(work, { recursive: true })
  if (missing.some((image) => image !== sparkImage)) await runScript([script], { ...engine.env, WORK: work })
  if (missing.includes(sparkImage)) await buildSpark(engine)
}

async function buildSpark(engine: Engine): Promise<void> {
  const recipe = `FROM apache/kafka:4.1.0
USER root
RUN groupadd --gid 185 spark && useradd --uid 185 --gid 185 spark
COPY . /opt/spark/jars
USER 185
`
  const folder = mkdtempSync(join(tmpdir(), 'flasktoria-spark-'))
  try {
    writeFileSync(join(folder, 'Dockerfile'), recipe)
    await must(engine, 'build', '--quiet', '--file', join(folder, 'Dockerfile'), '--tag', sparkImage, await sparkJars())
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Runs docker to its end. @throws Sentence with the end of what it said */
export async function must({ docker }: Engine, ...args: string[]): Promise<string> {
  const outcome = await docker(...args)
  if (!outcome.ok) throw new Sentence(`docker ${args.join(' ')} failed: ${tail(outcome, 30)}`)
  return outcome.stdout
}
