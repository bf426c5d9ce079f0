import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A key, and a certificate for hive.example for which nobody vouches but itself. */
export function makeIdentity(): { key: string; cert: string } {
  const folder = mkdtempSync(join(tmpdir(), 'hs2-tls-'))
  const file = (name: string) => join(folder, name)
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']
  const subject = ['-subj', '/CN=hive.example', '-addext', 'subjectAltName=DNS:hive.example']
  const files = ['-keyout', file('key.pem'), '-out', file('cert.pem')]
  try {
    execFileSync('openssl', ['req', '-x509', ...key, ...subject, ...files], { stdio: 'ignore' })
    return { key: readFileSync(file('key.pem'), 'utf8'), cert: readFileSync(file('cert.pem'), 'utf8') }
  } finally {
    rmSync(folder, { recursive: true })
  }
}
