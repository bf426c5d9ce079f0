import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DaemonPlan } from './daemon.ts'
import { findTool } from './packages.ts'

const deploy = new URL('../../deploy/', import.meta.url)

export type NginxPlace = {
  dir: string
  port: number
  /** The folder that `/` shows. */
  root: string
  /** Ports of 127.0.0.1. */
  queryApis: readonly number[]
  streamHubs: readonly number[]
}

/** deploy/upstreams.conf with addresses instead of names, which need a newer nginx than Debian's and a resolver. */
const upstreams = (text: string, ports: Record<string, readonly number[]>) =>
  text
    .replace(/^resolver .*\n/m, '')
    .replace(/^( *)server ([a-z-]+):\d+ resolve(.*)$/gm, (_, indent: string, name: string, rest: string) =>
      (ports[name] ?? []).map((port) => `${indent}server 127.0.0.1:${port}${rest}`).join('\n'),
    )

const listen = (text: string, { port, root }: NginxPlace) =>
  text.replace(/^listen \d+/m, `listen 127.0.0.1:${port}`).replace(/^root .*;$/m, `root ${JSON.stringify(root)};`)

/** The origin on 127.0.0.1: deploy/nginx.conf as it is, with other addresses in the files that it includes. */
export async function planNginx(place: NginxPlace): Promise<DaemonPlan> {
  const program = await findTool('nginx')
  const { dir, port, queryApis, streamHubs } = place
  mkdirSync(dir, { recursive: true })
  const read = (name: string) => readFileSync(new URL(name, deploy), 'utf8')
  copyFileSync(new URL('nginx.conf', deploy), join(dir, 'nginx.conf'))
  const ports = { 'query-api': queryApis, 'stream-hub': streamHubs }
  writeFileSync(join(dir, 'upstreams.conf'), upstreams(read('upstreams.conf'), ports))
  writeFileSync(join(dir, 'listen.conf'), listen(read('listen.conf'), place))
  // As root its workers would be "nobody", who can't read a checkout in a private home folder.
  const user = process.getuid?.() === 0 ? ['-g', 'user root;'] : []
  const command = [program, '-e', 'stderr', '-p', dir, '-c', join(dir, 'nginx.conf'), ...user] as const
  return { name: 'nginx', dir, port, command }
}

/** Whether an HTTP server answers at all, or, where `isOk`, with 2xx. */
export async function answersHttp(url: string, isOk: boolean): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2_000) })
    await response.body?.cancel()
    return response.ok || !isOk
  } catch {
    return false
  }
}
