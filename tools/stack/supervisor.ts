// Brings the processes of a stack back when they die: node supervisor.ts DIR. Ends on SIGTERM and leaves them running.
import { setTimeout as sleep } from 'node:timers/promises'
import { launch } from '../servers/daemon.ts'
import { findService, readState, type StackService } from './state.ts'

const lookEveryMs = 250
/** A process that lived this long did not fail at its start. */
const settledMs = 10_000
const longestPauseMs = 5_000

const log = (line: string) => console.log(`${new Date().toISOString()} ${line}`)

async function watch(service: StackService, signal: AbortSignal): Promise<void> {
  let startedAt = 0
  let failures = 0
  while (!signal.aborted) {
    if (!findService(service)) {
      failures = Date.now() - startedAt < settledMs ? failures + 1 : 0
      const pauseMs = failures === 0 ? 0 : Math.min(longestPauseMs, lookEveryMs * 2 ** failures)
      log(`${service.plan.name} is gone; starting it again${pauseMs > 0 ? ` in ${pauseMs} ms` : ''}`)
      await sleep(pauseMs, undefined, { signal }).catch(() => {})
      if (signal.aborted) return
      startedAt = Date.now()
      try {
        const { pid } = await launch(service.plan)
        log(`${service.plan.name} runs as ${pid}`)
      } catch (error) {
        log(`${service.plan.name} did not start: ${error instanceof Error ? error.message : String(error)}`)
      }
    }
    await sleep(lookEveryMs, undefined, { signal }).catch(() => {})
  }
}

const [dir] = process.argv.slice(2)
const state = dir === undefined ? undefined : readState(dir)
if (!state) throw new Error('supervisor.ts takes the folder of a stack')
const stop = new AbortController()
for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, () => stop.abort())
log(`watching ${state.services.map(({ plan }) => plan.name).join(', ')}`)
await Promise.all(state.services.map((service) => watch(service, stop.signal)))
