import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run, Sentence, tail } from './run.ts'

export type Certificates = {
  /** Who vouches for the server, PEM. */
  ca: string
  /** Key (PKCS #8) and certificate of the server, PEM. */
  key: string
  certificate: string
}

/** A private authority and a server's certificate for 127.0.0.1, written into `dir`, good for two days. */
export async function makeCertificates(dir: string): Promise<Certificates> {
  const file = (name: string) => join(dir, name)
  const openssl = async (...args: string[]) => {
    const outcome = await run(['openssl', ...args], { cwd: dir })
    if (!outcome.ok) throw new Sentence(`openssl could not make certificates: ${tail(outcome)}`)
  }
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']
  const extensions = 'subjectAltName=IP:127.0.0.1'
  writeFileSync(file('server.ext'), extensions)
  await openssl('req', '-x509', ...newKey, '-subj', '/CN=A private authority', '-keyout', 'ca.key', '-out', 'ca.pem')
  await openssl(
    'req',
    ...newKey.slice(0, 4),
    '-subj',
    '/CN=broker',
    '-keyout',
    'server.key',
    '-out',
    'server.csr',
    '-nodes',
  )
  const signing = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'server.ext']
  await openssl('x509', '-req', '-in', 'server.csr', ...signing, '-out', 'server.pem')
  const read = (name: string) => readFileSync(file(name), 'utf8')
  return { ca: read('ca.pem'), key: read('server.key'), certificate: read('server.pem') }
}
