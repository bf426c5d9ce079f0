import { defineConfig, type DummyRuleMap } from 'oxlint'

const drivers = ['kafkajs', 'ioredis', 'hive-driver', 'thrift', '@duckdb/node-api', 'uWebSockets.js', 'ws'] as const
const serverPackages = ['live-log', 'warehouse', 'service-kit'] as const
const services = ['kafka-ingest', 'stream-hub', 'query-api'] as const

const forbid = (...names: readonly string[]) =>
  names.map((name) => ({ group: [name, `${name}/**`], message: 'See CONTRIBUTING.md, boundaries.' }))
/** The driver libraries, but for those that this one file adapts. */
const driversBut = (...own: (typeof drivers)[number][]) => forbid(...drivers.filter((driver) => !own.includes(driver)))
const restrict = (...patterns: ReturnType<typeof forbid>[]): DummyRuleMap => ({
  'no-restricted-imports': ['error', { patterns: patterns.flat() }],
})
const serverSide = forbid('node:*', 'hono', ...serverPackages.map((name) => `@flasktoria/${name}`))
const ourServices = forbid(...services.map((service) => `@flasktoria/${service}`))

export default defineConfig({
  plugins: ['typescript', 'import', 'promise', 'unicorn', 'vitest', 'node'],
  categories: { correctness: 'error', suspicious: 'error' },
  options: { typeAware: true },
  rules: {
    'typescript/no-floating-promises': 'error',
    'typescript/switch-exhaustiveness-check': 'error',
    'import/no-cycle': 'error',
    'import/no-unassigned-import': ['error', { allow: ['**/*.css'] }],
    'vitest/no-disabled-tests': 'error',
    'vitest/no-focused-tests': 'error',
    'vitest/valid-expect': ['error', { maxArgs: 2 }],
    // JSON, drivers and environment come as any; schemas check them where they come from outside.
    'typescript/no-unsafe-type-assertion': 'off',
    'no-console': 'error',
    'no-underscore-dangle': ['error', { allow: ['_reqs', '_service', '_id'] }],
  },
  overrides: [
    { files: ['packages/**', 'services/**', 'apps/**'], rules: restrict(driversBut(), ourServices) },
    {
      files: ['packages/contracts/**', 'packages/client/**', 'apps/**'],
      rules: restrict(driversBut(), ourServices, serverSide),
    },
    { files: ['packages/live-log/src/redis.ts'], rules: restrict(driversBut('ioredis'), ourServices) },
    {
      files: ['packages/warehouse/src/warehouse-duckdb.ts'],
      rules: restrict(driversBut('@duckdb/node-api'), ourServices),
    },
    {
      files: ['packages/warehouse/src/hs2-{client,connection,stock.test-server}.ts'],
      rules: restrict(driversBut('hive-driver', 'thrift'), ourServices),
    },
    {
      files: ['services/kafka-ingest/src/{source-kafka,kafka-*}.ts'],
      rules: restrict(driversBut('kafkajs'), ourServices),
    },
    { files: ['services/stream-hub/src/socket-uws.ts'], rules: restrict(driversBut('uWebSockets.js'), ourServices) },
    { files: ['services/stream-hub/src/{socket-ws,test-socket}.ts'], rules: restrict(driversBut('ws'), ourServices) },
    {
      files: ['packages/**', 'services/**'],
      excludeFiles: [
        '**/main.ts',
        '**/*.test.ts',
        '**/*.conformance.ts',
        'packages/service-kit/src/{lifecycle,run-service}.ts',
      ],
      rules: { 'node/no-process-env': 'error', 'unicorn/no-process-exit': 'error' },
    },
    { files: ['tools/**', 'packages/service-kit/src/lifecycle.ts'], rules: { 'no-console': 'off' } },
    {
      files: ['**/*.test.ts', '**/*.conformance.ts'],
      rules: { 'no-restricted-imports': 'off', 'unicorn/consistent-function-scoping': 'off' },
    },
  ],
  ignorePatterns: ['**/dist', '**/*.gen.ts'],
})
