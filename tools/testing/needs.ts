import type { Tool } from '../servers/packages.ts'

export type TestServer = 'redis' | 'kafka' | 'hs2'
export type Needs = { servers: ReadonlySet<TestServer>; tools: ReadonlySet<Tool> }

/** What the suffix of a test file says that its tests use: `log.redis.test.ts` uses a Redis. */
const bySuffix: Record<string, { servers?: readonly TestServer[]; tools?: readonly Tool[] }> = {
  redis: { servers: ['redis'], tools: ['redis'] },
  kafka: { servers: ['redis', 'kafka'], tools: ['redis', 'java', 'maven'] },
  hs2: { servers: ['hs2'], tools: ['java', 'pip'] },
  nginx: { tools: ['nginx'] },
  browser: { tools: ['chromium'] },
  // These bring up stacks of their own.
  e2e: { tools: ['redis', 'java', 'maven', 'pip', 'nginx'] },
}

export function needsOf(files: readonly string[]): Needs {
  const suffixes = files.flatMap((file) =>
    file
      .slice(file.lastIndexOf('/') + 1)
      .split('.')
      .slice(1, -2),
  )
  const wanted = suffixes.map((suffix) => bySuffix[suffix] ?? {})
  return {
    servers: new Set(wanted.flatMap(({ servers = [] }) => servers)),
    tools: new Set(wanted.flatMap(({ tools = [] }) => tools)),
  }
}
