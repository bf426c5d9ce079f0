import { readConfig } from '@flasktoria/service-kit/config'
import { execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { simulateOptionNames, simulateSchema } from './config.ts'
import { environmentOf, usage } from './simulate-options.ts'

const configOf = (args: string[], environment: Record<string, string> = {}) =>
  readConfig(simulateSchema, { ...environment, ...environmentOf(args) }, simulateOptionNames)
const program = join(import.meta.dirname, 'simulate.ts')

test('what the command line says counts more than the environment', () => {
  const config = configOf(['--vehicles', '7', '--to', 'kafka://a:1,b:2', '--keyless', '--duration', '1.5m'], {
    SIMULATOR_VEHICLES: '5',
    SIMULATOR_SEED: '3',
  })
  expect(config).toMatchObject({
    SIMULATOR_VEHICLES: 7,
    SIMULATOR_SEED: 3,
    SIMULATOR_TO: { kind: 'kafka', brokers: ['a:1', 'b:2'] },
    SIMULATOR_KEYS: false,
    SIMULATOR_DURATION: 90_000,
  })
})

test('without options it is fifty vehicles into KAFKA_BROKERS, as ever', () => {
  expect(configOf([])).toMatchObject({ SIMULATOR_VEHICLES: 50, SIMULATOR_TO: { kind: 'kafka' }, SIMULATOR_KEYS: true })
})

test.each([
  [['--rate', '5', '--speed', '2'], 'SIMULATOR_RATE: stands beside SIMULATOR_SPEED'],
  [['--rate', 'fast'], 'SIMULATOR_RATE: is neither a number nor max'],
  [['--to', 'redis://x:1'], 'SIMULATOR_TO: is neither kafka://'],
  [['--to', 'kafka://x'], 'SIMULATOR_TO: is neither kafka://'],
  [['--duration', '5 weeks'], 'SIMULATOR_DURATION: is no duration'],
  [['--vehicles', '100001'], 'SIMULATOR_VEHICLES: '],
  [['--dirt', '2'], 'SIMULATOR_DIRT: '],
  [['--keyed', '--keyless'], 'exclude each other'],
  [['--nonsense'], '--nonsense'],
])('%j is refused with a sentence', (args, sentence) => {
  expect(() => configOf(args)).toThrow(sentence)
})

test('the usage says what each option does', () => {
  const lines = usage.split('\n').filter((line) => line.startsWith('  --'))
  expect(lines.length).toBeGreaterThan(12)
  for (const line of lines.slice(0, -1)) expect(line).toMatch(/^ {2}--\w+ +[A-Z].{20,}$/)
})

test('as a command it writes the same bytes each time, says what it did, and ends', { timeout: 60_000 }, async () => {
  const args = [program, '--vehicles', '20', '--to', 'stdout', '--duration', '20s', '--dirt', '0.01', '--rate', 'max']
  const runs = [await promisify(execFile)(process.execPath, args), await promisify(execFile)(process.execPath, args)]
  const digests = runs.map(({ stdout }) => createHash('sha256').update(stdout).digest('hex'))
  expect(digests[1]).toBe(digests[0])
  expect(runs[0]!.stderr).toMatch(
    /\nsimulate: \d+ records \(.*\) of 20 vehicles, .*20\.0 s of their lives .* a second; dirt: /,
  )
})

test('SIGINT ends it with its summary and exit code 0', { timeout: 60_000 }, async () => {
  const child = spawn(process.execPath, [program, '--vehicles', '20', '--to', 'stdout'])
  const said = text(child.stderr)
  await once(child.stdout, 'data')
  child.stdout.resume()
  child.kill('SIGINT')
  const [code] = await once(child, 'exit')
  expect(code).toBe(0)
  expect(await said).toMatch(/\nsimulate: [1-9]\d* records/)
})

test('who reads only the first lines does not make it fail', { timeout: 60_000 }, async () => {
  const child = spawn(process.execPath, [program, '--vehicles', '20', '--to', 'stdout', '--rate', 'max'])
  const said = text(child.stderr)
  await once(child.stdout, 'data')
  child.stdout.destroy()
  const [code] = await once(child, 'exit')
  expect(code).toBe(0)
  expect(await said).not.toContain('EPIPE')
})
