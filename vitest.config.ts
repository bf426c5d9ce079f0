import { defineConfig } from 'vitest/config'

const servers = '{redis,kafka,hs2,uws,nginx}'

// Unit tests need nothing but Node. The others start real servers, or use those that the environment names: see tools/test.ts.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['{packages,services}/*/src/**/*.test.ts', 'tools/**/*.test.ts'],
          exclude: [`**/*.${servers}.test.ts`, '**/*.{e2e,browser,container}.test.ts', '**/node_modules/**'],
          // Of two cores vitest would take one.
          maxWorkers: '100%',
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: 'servers',
          include: [`{packages,services,tools}/**/*.${servers}.test.ts`],
          exclude: ['**/node_modules/**'],
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 300_000,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['tools/**/*.{e2e,browser,container}.test.ts'],
          exclude: ['**/node_modules/**'],
          fileParallelism: false,
          testTimeout: 300_000,
          hookTimeout: 900_000,
        },
      },
    ],
  },
})
