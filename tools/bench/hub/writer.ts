import { linesOf, loadCore, runPinned, script } from '../processes.ts'

/** Where updates go. */
export type Target = { to: 'live log'; url: string } | { to: 'centrifugo'; url: string; channel: 'one' | 'per vehicle' }
export type WriterPlan = Target & { updatesPerSecond: number }

/** Whoever writes the updates, once each vehicle has a position. */
export async function startWriter(plan: WriterPlan) {
  const child = runPinned(loadCore, [script('write-fleet.ts'), JSON.stringify(plan)])
  const lines = linesOf(child)
  const hear = async () => {
    const line = (await lines.next()).value
    if (line === undefined) throw new Error('the writer ended')
  }
  await hear()
  return {
    pid: child.pid!,
    start: () => child.stdin.write('start\n'),
    stop: async () => {
      child.stdin.write('stop\n')
      await hear()
    },
    /** One more update of each vehicle. */
    lap: () => child.stdin.write('lap\n'),
    [Symbol.dispose]: () => child.kill(),
  }
}
export type Writer = Awaited<ReturnType<typeof startWriter>>
