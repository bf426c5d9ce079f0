// npm run typecheck: the workspace, then what must also compile without Node's types because it runs in a browser.
import { existsSync, globSync } from 'node:fs'
import { join } from 'node:path'
import { spawnSync } from 'node:child_process'

const browserProjects = ['packages/contracts', 'packages/client', 'apps/console']
const hasSources = (folder: string) =>
  existsSync(join(folder, 'tsconfig.json')) && globSync(join(folder, 'src/**/*.{ts,tsx}')).length > 0

let isSound = true
for (const project of ['.', ...browserProjects.filter(hasSources)])
  if (spawnSync('tsc', ['-p', project], { stdio: 'inherit' }).status !== 0) isSound = false
process.exitCode = isSound ? 0 : 1
