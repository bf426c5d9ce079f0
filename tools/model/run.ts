import * as fc from 'fast-check'
import { join } from 'node:path'

type Plan = import('@flasktoria/stream-hub/test-world').Plan
type Plans = Pick<typeof import('@flasktoria/stream-hub/test-plans'), 'plan'>
type World = Pick<typeof import('@flasktoria/stream-hub/test-world'), 'play'>

export const sources = join(import.meta.dirname, '..', '..', 'services', 'stream-hub', 'src')

export type ModelOptions = { runs: number; seed: number; path?: string | undefined }
export type ModelResult = { failure: string | undefined; reason: string; runs: number; seconds: number }

/** Plays worlds with the hub in a folder. `isShrunk`: a failure is made as small as it gets. */
export async function runModel(
  folder: string,
  { runs, seed, path }: ModelOptions,
  isShrunk = true,
): Promise<ModelResult> {
  const { plan } = (await import(join(folder, 'test-plans.ts'))) as Plans
  const { play } = (await import(join(folder, 'test-world.ts'))) as World
  const startedAtMs = performance.now()
  const details = await fc.check(fc.asyncProperty(plan, play), {
    numRuns: runs,
    seed,
    endOnFailure: !isShrunk,
    ...(path !== undefined && { path }),
  })
  const reason = String(details.errorInstance)
  const world = details.counterexample?.[0]
  return {
    failure: world && `${describe(world)}\n${reason}\nagain: --seed ${seed} --path ${details.counterexamplePath}`,
    reason,
    runs: details.numRuns,
    seconds: (performance.now() - startedAtMs) / 1_000,
  }
}

const describe = ({ deeds, ...world }: Plan): string => [world, ...deeds].map((part) => JSON.stringify(part)).join('\n')
