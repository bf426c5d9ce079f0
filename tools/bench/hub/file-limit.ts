import { readFileSync } from 'node:fs'
import { run, Sentence } from '../../servers/run.ts'

/** Beside the sockets of the clients. */
const others = 200

/** Lets each process that we start hold a socket for each client. Node has raised the soft limit to the hard one already. */
export async function allowClients(clients: number): Promise<void> {
  const wanted = clients + others
  const allowed = /^Max open files +\d+ +(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
  if (allowed === 'unlimited' || Number(allowed) >= wanted) return
  const raised = await run(['prlimit', `--pid=${process.pid}`, `--nofile=${wanted}:${wanted}`])
  if (raised.ok) return
  throw new Sentence(
    `${clients} clients need ${wanted} open files in a process, this shell allows ${allowed}: raise the hard limit (ulimit -Hn), or choose other scenarios`,
  )
}
