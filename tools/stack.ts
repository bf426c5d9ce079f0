// npm run stack: the services as separate processes against real Kafka, Redis, HiveServer2 and nginx on this machine.
import { join } from 'node:path'
import { withLock } from './servers/cache.ts'
import { say, Sentence } from './servers/run.ts'
import { down } from './stack/down.ts'
import { readOptions, type StackOptions } from './stack/options.ts'
import { readStatus } from './stack/status.ts'
import { up } from './stack/up.ts'

/** What `status` exits with when nothing runs, as init scripts do. */
const notRunning = 3

async function obey(options: StackOptions): Promise<void> {
  const { command, dir } = options
  if (command === 'status') {
    const status = readStatus(dir)
    if (status) console.log(JSON.stringify(status))
    else say(`no stack runs in ${dir}`)
    process.exitCode = status ? 0 : notRunning
    return
  }
  // One after the other, whoever calls.
  await withLock(join(dir, 'stack.lock'), async () => {
    if (command === 'up') {
      await up(options)
      say(`the stack answers at http://127.0.0.1:${options.port}`)
    } else say((await down(dir)) ? `the stack in ${dir} is stopped; its data stays` : `no stack runs in ${dir}`)
  })
}

try {
  await obey(readOptions(process.argv.slice(2)))
} catch (error) {
  console.error(error instanceof Sentence ? `flasktoria: ${error.message}` : error)
  process.exitCode = 1
}
