import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run, Sentence, tail } from './run.ts'

/** Key (PKCS #8) and certificate, PEM. */
export type Identity = { key: string; certificate: string }
export type Certificates = {
  /** Who vouches for both, PEM. */
  ca: string
  server: Identity
  client: Identity
}

/**
 * A private authority and the certificates of a server at 127.0.0.1 and of a client, written into `dir`, good for two days.
 * The client's common name is `reader`.
 */
export async function makeCertificates(dir: string): Promise<Certificates> {
  const file = (name: string) => join(dir, name)
  const openssl = async (...args: string[]) => {
    const outcome = await run(['openssl', ...args], { cwd: dir })
    if (!outcome.ok) throw new Sentence(`openssl could not make certificates: ${tail(outcome)}`)
  }
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']
  await openssl('req', '-x509', ...newKey, '-subj', '/CN=A private authority', '-keyout', 'ca.key', '-out', 'ca.pem')
  const read = (name: string) => readFileSync(file(name), 'utf8')
  const identity = async (name: string, commonName: string): Promise<Identity> => {
    const [key, request, pem] = [`${name}.key`, `${name}.csr`, `${name}.pem`]
    writeFileSync(file(`${name}.ext`), 'subjectAltName=IP:127.0.0.1')
    await openssl('req', ...newKey.slice(0, 5), '-subj', `/CN=${commonName}`, '-keyout', key, '-out', request)
    const signing = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', `${name}.ext`]
    await openssl('x509', '-req', '-in', request, ...signing, '-out', pem)
    return { key: read(key), certificate: read(pem) }
  }
  return { ca: read('ca.pem'), server: await identity('server', 'broker'), client: await identity('client', 'reader') }
}
