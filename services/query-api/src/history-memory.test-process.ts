// query-api over the history of a folder, in a process whose memory can be watched: see history-memory.test.ts.
import { readConfig } from '@flasktoria/service-kit/config'
import { configSchema, optionNames } from './config.ts'
import { start } from './main.ts'

const options = { PORT: '0', LOG_LEVEL: 'warn', WAREHOUSE: 'duckdb', HISTORY_DIR: process.argv[2]! }
const service = await start(readConfig(configSchema, options, optionNames))
const tell = (facts: object) => process.stdout.write(`${JSON.stringify(facts)}\n`)
const peakMb = () => process.resourceUsage().maxRSS / 1_024

process.once('SIGTERM', () => {
  tell({ peakMb: peakMb() })
  void service[Symbol.asyncDispose]()
})
tell({ url: service.url, peakMb: peakMb() })
