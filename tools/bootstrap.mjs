// Brings the pinned Node, pnpm and dependencies into this folder (nothing global, no root), then runs a program.
// Plain JavaScript without dependencies: it must run on whatever Node the machine has, from 18 on.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, statSync, utimesSync } from 'node:fs'
import { constants } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const at = (...path) => join(root, ...path)
const json = (path) => JSON.parse(readFileSync(path, 'utf8'))

class Sentence extends Error {}
const unreachable = (what) =>
  `${what} could not be fetched. Can this machine reach the npm registry (npm ping), and is the lockfile untouched?`

/** Runs npm; what it says reaches the terminal only when it fails. */
function npm(args, cwd, what) {
  process.stderr.write(`flasktoria: ${what} …\n`)
  const quiet = ['--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=error']
  const result = spawnSync('npm', [...args, ...quiet], { cwd, encoding: 'utf8', shell: process.platform === 'win32' })
  if (result.status === 0) return
  process.stderr.write((result.stderr ?? '').split('\n').slice(0, 12).join('\n') + '\n')
  throw new Sentence(`${what} failed${result.error ? `: ${result.error.message}` : ''}; npm's reason is above.`)
}

/** `npm ci` in one of the tool folders: versions and SHA-512 come from the committed lockfile, and no script runs. */
const npmCi = (folder, what) => npm(['ci', '--ignore-scripts'], folder, what)

const suits = (version) => {
  const [major, minor] = version.replace(/^v/, '').split('.').map(Number)
  return major === 24 && minor >= 12
}

function pinnedNode() {
  if (suits(process.version)) return process.execPath
  const folder = at('tools', 'toolchain', 'node')
  const name = `node-linux-${process.arch}`
  const version = json(join(folder, 'package.json')).optionalDependencies[name]
  const here = `${process.version} on ${process.platform}-${process.arch}`
  const advice = 'Install Node 24 (24.12 or newer; .node-version names the one we test with) and run this again.'
  if (process.platform !== 'linux' || !version)
    throw new Sentence(`this project runs on Node 24, this machine has ${here}. ${advice}`)
  if (!process.report.getReport().header.glibcVersionRuntime)
    throw new Sentence(`this project runs on Node 24 with glibc; this machine has ${here} with another libc. ${advice}`)
  const node = join(folder, 'node_modules', name, 'bin', 'node')
  const runs = () => spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout?.trim()
  if (!existsSync(node) || runs() !== `v${version}`)
    npmCi(folder, `fetching Node ${version} (50 MB; this machine has ${process.version})`)
  // npm counts a platform package as optional: one that it could not fetch, or whose hash was wrong, is left out silently.
  if (!existsSync(node)) throw new Sentence(unreachable(`Node ${version}`))
  if (runs() !== `v${version}`)
    throw new Sentence(`the fetched Node ${version} does not run on this machine. ${advice}`)
  return node
}

function pinnedPnpm() {
  const folder = at('tools', 'toolchain', 'pnpm')
  const name = `@pnpm/exe.${process.platform}-${process.arch}`
  const version = json(join(folder, 'package.json')).optionalDependencies[name]
  const musl = process.platform === 'linux' && !process.report.getReport().header.glibcVersionRuntime
  if (version && !musl) {
    const installed = join(folder, 'node_modules', name)
    const manifest = join(installed, 'package.json')
    if (!existsSync(manifest) || json(manifest).version !== version) npmCi(folder, `fetching pnpm ${version} (28 MB)`)
    if (!existsSync(manifest)) throw new Sentence(unreachable(`pnpm ${version}`))
    return { folder: installed, command: [join(installed, 'pnpm')] }
  }
  // Elsewhere: the same version by its name alone; pnpm's own wrapper then verifies the binary it fetches.
  const wanted = json(at('package.json')).packageManager
  const elsewhere = at('tools', 'toolchain', 'elsewhere')
  const wrapper = join(elsewhere, 'node_modules', 'pnpm')
  if (!existsSync(wrapper) || `pnpm@${json(join(wrapper, 'package.json')).version}` !== wanted)
    npm(['install', '--prefix', elsewhere, '--no-save', '--ignore-scripts', wanted], root, `fetching ${wanted}`)
  return {
    folder: join(elsewhere, 'node_modules', '.bin'),
    command: [process.execPath, join(wrapper, 'bin', 'pnpm.mjs')],
  }
}

/** Installs the workspace when the lockfile or a manifest is newer than the last install. */
function install(pnpm) {
  const stamp = at('node_modules', '.modules.yaml')
  const wanted = ['pnpm-lock.yaml', 'pnpm-workspace.yaml', 'package.json'].map((file) => at(file))
  const isCurrent = existsSync(stamp) && wanted.every((file) => statSync(file).mtimeMs <= statSync(stamp).mtimeMs)
  if (isCurrent) return
  process.stderr.write('flasktoria: installing the dependencies …\n')
  if (pnpm('install', '--frozen-lockfile', '--trust-lockfile', '--prefer-offline', '--reporter=silent') === 0) {
    utimesSync(stamp, new Date(), new Date())
    return
  }
  pnpm('install', '--frozen-lockfile')
  throw new Sentence('installing the dependencies failed; the reason is above.')
}

try {
  const [program, ...args] = process.argv.slice(2)
  const node = pinnedNode()
  const { folder, command } = pinnedPnpm()
  const path = [dirname(node), at('node_modules', '.bin'), folder, process.env.PATH].join(delimiter)
  const env = { ...process.env, PATH: path, Path: path }
  // Under `npm start` npm's own settings are in the environment; pnpm must not read them.
  for (const key of Object.keys(env)) if (/^npm_/i.test(key)) delete env[key]
  const pnpm = (...words) => {
    // stdout belongs to the program that runs at the end
    const result = spawnSync(command[0], [...command.slice(1), ...words], { cwd: root, env, stdio: ['inherit', 2, 2] })
    if (result.error) throw new Sentence(`pnpm did not start: ${result.error.message}`)
    return result.status ?? 1
  }
  if (program === 'pnpm') process.exit(pnpm(...args))
  install(pnpm)
  if (!program) process.exit(0)
  // Types are stripped and files compiled once, and not at each start: a service is there sooner, in 30 MB less.
  env.NODE_COMPILE_CACHE ??= at('node_modules', '.cache', 'compile')
  // kafkajs sets timers in the past.
  env.NODE_OPTIONS = `${env.NODE_OPTIONS ?? ''} --disable-warning=TimeoutNegativeWarning`
  const child = /\.(ts|mjs|js)$/.test(program)
    ? spawn(node, [program, ...args], { cwd: root, env, stdio: 'inherit' })
    : spawn(program, args, { cwd: root, env, stdio: 'inherit' })
  // A terminal signals the whole group; a supervisor signals only us.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('error', (error) => {
    console.error(`flasktoria: ${program} did not start: ${error.message}`)
    process.exit(1)
  })
  child.on('exit', (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)))
} catch (error) {
  if (!(error instanceof Sentence)) throw error
  console.error(`flasktoria: ${error.message}`)
  process.exit(1)
}
