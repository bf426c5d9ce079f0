import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Sentence } from '../servers/run.ts'
import { bugs, type Bug } from './bugs.ts'
import { runModel, sources, type ModelOptions } from './run.ts'

/** Plants one bug after the other in a copy of the hub. True: all were found. */
export async function findPlanted(options: ModelOptions): Promise<boolean> {
  let areFound = true
  for (const bug of bugs) {
    const dir = mkdtempSync(join(tmpdir(), 'flasktoria-model-'))
    try {
      const { failure, reason, runs } = await runModel(plant(bug, dir), options, false)
      areFound &&= failure !== undefined
      console.log(`${failure ? `found in run ${runs}` : `not found in ${runs} runs`}: ${bug.name}`)
      if (failure) console.log(`  ${reason.split('\n')[0]!.slice(0, 200)}`)
    } finally {
      rmSync(dir, { recursive: true, force: true })
    }
  }
  return areFound
}

function plant({ name, file, correct, wrong }: Bug, dir: string): string {
  const folder = join(dir, 'src')
  cpSync(sources, folder, { recursive: true })
  cpSync(join(sources, '..', 'package.json'), join(dir, 'package.json'))
  symlinkSync(join(sources, '..', 'node_modules'), join(dir, 'node_modules'))
  const text = readFileSync(join(folder, file), 'utf8')
  if (text.split(correct).length !== 2) throw new Sentence(`"${name}" has no place any more: see tools/model/bugs.ts`)
  writeFileSync(
    join(folder, file),
    text.replace(correct, () => wrong),
  )
  return folder
}
