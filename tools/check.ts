// npm run check: everything that needs no server. Runs it all, so that one run shows every complaint.
import { spawnSync } from 'node:child_process'

const checks = {
  'fmt:check': ['oxfmt', '--check'],
  lint: ['oxlint', '--type-aware'],
  typecheck: [process.execPath, 'tools/typecheck.ts'],
  unused: ['knip'],
  'specs:check': [process.execPath, 'tools/specs.ts', '--check'],
} satisfies Record<string, [string, ...string[]]>

const failed: string[] = []
for (const [name, [program, ...args]] of Object.entries(checks)) {
  console.log(`\n── ${name}`)
  if (spawnSync(program, args, { stdio: 'inherit' }).status !== 0) failed.push(name)
}
console.log(
  `\n${failed.length === 0 ? `all ${Object.keys(checks).length} checks passed` : `failed: ${failed.join(', ')}`}`,
)
process.exitCode = failed.length === 0 ? 0 : 1
