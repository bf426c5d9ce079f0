import { once } from 'node:events'
import { connect } from 'node:net'
import { ok, wrong, type Judgement } from './chart.ts'

const unresolved = new Set(['ENOTFOUND', 'EAI_AGAIN', 'EAI_NODATA', 'EAI_NONAME'])

/** Whether somebody listens there; if not, what keeps us from it. `setting` is where the address came from. */
export async function reach(host: string, port: number, setting: string, signal: AbortSignal): Promise<Judgement> {
  const place = `${host.includes(':') ? `[${host}]` : host}:${port}`
  const socket = connect({ host, port })
  // After the abort it may still fail.
  socket.on('error', () => {})
  try {
    await once(socket, 'connect', { signal: AbortSignal.any([signal, AbortSignal.timeout(reachWithinMs)]) })
    return ok('somebody listens there')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    if (unresolved.has(code))
      return wrong(
        `the name ${host} can't be resolved`,
        `Correct ${setting}, or let the DNS of this machine know the name.`,
      )
    if (code === 'ECONNREFUSED')
      return wrong(`nobody listens at ${place}`, `Start the server, or correct the port in ${setting}.`)
    return wrong(
      `${place} can't be reached`,
      `Is the address in ${setting} right, and is no firewall between here and there?`,
    )
  } finally {
    socket.destroy()
  }
}

const reachWithinMs = 3_000
