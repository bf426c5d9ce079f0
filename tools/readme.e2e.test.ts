import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { freePort } from './servers/daemon.ts'

const root = join(import.meta.dirname, '..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const commands = [...read('README.md').matchAll(/^```sh\n([^]*?)^```$/gm)].flatMap(([, block]) =>
  block!.trim().split('\n'),
)
const folder = mkdtempSync(join(tmpdir(), 'flasktoria-readme-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Runs a line of the README as a person would; `until`: says the word that ends it, and is then interrupted. */
async function type(
  line: string,
  { until, env = {}, codes = [0] }: { until?: string; env?: Record<string, string>; codes?: number[] } = {},
): Promise<string> {
  const child = spawn('bash', ['-c', `exec ${line}`], {
    cwd: root,
    env: { ...ownServers, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  let said = ''
  let isInterrupted = false
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      said += String(chunk)
      // As the terminal does: to everybody in the foreground.
      if (isInterrupted || until === undefined || !said.includes(until)) return
      isInterrupted = true
      process.kill(-child.pid!, 'SIGINT')
    })
  const [code, signal] = await once(child, 'exit')
  // npm may end by the signal itself, as a shell would show it.
  expect(codes, said).toContain(isInterrupted && signal === 'SIGINT' ? 0 : code)
  return said
}

/** Without the servers that the tests share: a person has none. */
const { REDIS_URL: _redis, KAFKA_BROKERS: _kafka, HS2_URL: _hs2, ...ownServers } = process.env
const composeTest = 'tools/compose.container.test.ts'
const stackPlace = async () => ` --port ${await freePort()} --dir ${join(folder, 'stack')}`
const stackAt = stackPlace()

/** How each command is run here; or which file of the continuous integration runs it, told by the words that it then holds. */
const runs: Record<string, { file: string; words: string[] } | ((line: string) => Promise<unknown>)> = {
  'npm start': (line) => type(line, { until: 'Ctrl-C', env: { PORT: '0' } }),
  'npm test': { file: '.ci/run', words: ['\nnpm test\n'] },
  'npm start -- --recording FILE.csv.gz --speed 10': (line) => {
    const recording = join(folder, 'fleet.csv')
    writeFileSync(recording, 'vehicle_id,timestamp_ms,sensor,value\nv-1,1490072404000,pid_13_mode_1,27.36\n')
    return type(line.replace('FILE.csv.gz', recording), { until: 'Ctrl-C', env: { PORT: '0' } })
  },
  'npm run stack -- up --simulate 200': async (line) => type(line + (await stackAt)),
  'npm run stack -- status': async (line) => {
    const said = await type(line + (await stackAt))
    expect(JSON.parse(said.trim().split('\n').at(-1)!)).toHaveProperty('origin')
  },
  // Topics in which nobody drives are warnings.
  'npm run doctor -- --stack': async (line) => {
    const said = await type(`${line} --dir ${join(folder, 'stack')}`, { codes: [0, 1] })
    expect(said).toContain('0 wrong')
  },
  'npm run dead-letters -- list --stack': async (line) => {
    expect(await type(`${line} --dir ${join(folder, 'stack')}`)).toContain('dead letters')
  },
  'npm run simulate -- --vehicles 20 --to stdout --duration 10s': async (line) => {
    expect(await type(line)).toMatch(/"topic":[^]*simulate: \d+ records/)
  },
  'npm run simulate -- --vehicles 1000 --to null --rate max --duration 1m --dirt 0.01': async (line) => {
    expect(await type(line)).toMatch(/of 1000 vehicles, .* records a second; dirt: \d+ garbage/)
  },
  'npm run stack -- down': async (line) => type(line + (await stackAt)),
  'docker compose up --build --detach --wait': {
    file: composeTest,
    words: ["compose('build')", "'--detach', '--wait'"],
  },
  'docker compose up --detach --wait --scale stream-hub=3': {
    file: composeTest,
    words: ["'--scale'", "'stream-hub=3'"],
  },
  'docker compose down': { file: composeTest, words: ["compose('down'"] },
  'npm run check': { file: '.ci/run', words: ['\nnpm run check\n'] },
  'npm run model': (line) => type(`${line} -- --runs 500`),
  'npm run bench -- hub': (line) => type(`${line} --quick`),
  'npm run bench -- ingest': (line) => type(`${line} --quick`),
  'npm run bench -- history': (line) => type(`${line} --quick`),
  'npm run bench -- history-writer': (line) => type(`${line} --quick`),
  'npm run bench -- rest': (line) => type(`${line} --quick`),
}

test.each(commands.map((line) => [line]))('%s', async (line) => {
  const run = runs[line]
  expect(run, 'the README has a command that nothing runs').toBeDefined()
  if (typeof run === 'function') await run(line)
  else if (run!.words.some((word) => !read(run!.file).includes(word)))
    throw new Error(`${run!.file} no longer runs ${line}`)
})

test('every command that is run here stands in the README', () => {
  expect(Object.keys(runs).toSorted()).toEqual(commands.toSorted())
})
