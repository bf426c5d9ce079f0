import { mkdirSync } from 'node:fs'
import { makeCertificates, type Identity } from './certificates.ts'
import { freePort, type Server } from './daemon.ts'
import { startKafka } from './kafka.ts'

/** One broker that has every door: each address wants something else of who comes. */
export type SecuredKafka = Server & {
  /** TLS, no log-in. */
  tls: string
  /** TLS where clients need a certificate; `User:CN=reader` has ours. */
  mutualTls: string
  client: Identity
  /** SASL without TLS: PLAIN, SCRAM, and OAUTHBEARER with unsigned tokens. */
  sasl: string
  /** SASL inside TLS. */
  saslTls: string
  /** The authority of the TLS addresses, PEM. */
  ca: string
}

/** Known to any mechanism but OAUTHBEARER, where the token names the user. */
const users = ['reader', 'stranger']

export const passwordOf = (user: string) => `${user}-secret`
const plainUsers = users.map((user) => `user_${user}="${passwordOf(user)}"`).join(' ')
const security = 'org.apache.kafka.common.security'
const modules = {
  plain: `${security}.plain.PlainLoginModule required ${plainUsers};`,
  'scram-sha-256': `${security}.scram.ScramLoginModule required;`,
  'scram-sha-512': `${security}.scram.ScramLoginModule required;`,
  // What the broker would say of itself; it never does.
  oauthbearer: `${security}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";`,
}
const saslOf = (listener: string) =>
  Object.fromEntries(
    Object.entries(modules).flatMap(([mechanism, module]) => [
      [`listener.name.${listener}.${mechanism}.sasl.jaas.config`, module],
      // A connection lives as long as its log-in.
      [`listener.name.${listener}.${mechanism}.connections.max.reauth.ms`, 3_600_000],
    ]),
  )
const at = (port: number) => `127.0.0.1:${port}`
const inOneLine = (pem: string) => pem.trim().replaceAll('\n', '\\n')

/**
 * A Kafka with TLS, SASL and ACLs on 127.0.0.1. At `url` whoever comes may do anything; elsewhere nobody may do what no ACL
 * allows, but for the TLS address, where nobody has a name.
 */
export async function startSecuredKafka(dir: string): Promise<SecuredKafka> {
  mkdirSync(dir, { recursive: true })
  const port = await freePort()
  const controllerPort = await freePort()
  const [tls, mutualTls, sasl, saslTls] = [await freePort(), await freePort(), await freePort(), await freePort()]
  const { ca, server: broker, client } = await makeCertificates(dir)
  const doors = `PLAINTEXT://${at(port)},SSL://${at(tls)},MUTUAL://${at(mutualTls)},SASL_PLAINTEXT://${at(sasl)},SASL_SSL://${at(saslTls)}`
  const server = await startKafka({
    dir,
    port,
    controllerPort,
    settings: {
      listeners: `${doors},CONTROLLER://127.0.0.1:${controllerPort}`,
      'advertised.listeners': doors,
      'listener.security.protocol.map':
        'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,MUTUAL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL',
      'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER',
      ...saslOf('sasl_plaintext'),
      ...saslOf('sasl_ssl'),
      'ssl.keystore.type': 'PEM',
      'ssl.keystore.certificate.chain': inOneLine(broker.certificate),
      'ssl.keystore.key': inOneLine(broker.key),
      'listener.name.mutual.ssl.client.auth': 'required',
      'ssl.truststore.type': 'PEM',
      'ssl.truststore.certificates': inOneLine(ca),
      'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
      'super.users': 'User:ANONYMOUS',
    },
    format: users.flatMap((user) =>
      ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap((mechanism) => [
        '--add-scram',
        `${mechanism}=[name=${user},password=${passwordOf(user)}]`,
      ]),
    ),
  })
  return { ...server, tls: at(tls), mutualTls: at(mutualTls), sasl: at(sasl), saslTls: at(saslTls), ca, client }
}
