// An S3 server in memory for tests: objects, listings in short pages, signatures checked against what arrived.
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { sha256, signedHeaders } from './s3-signature.ts'

export const testCredentials = { accessKeyId: 'AKIATEST', secretAccessKey: 'a secret/with+signs' }
const region = 'us-east-1'
const pageSize = 3

const isSigned = (request: IncomingMessage, content: Buffer): boolean => {
  const { headers, method = '' } = request
  const authorization = headers.authorization ?? ''
  const names = /SignedHeaders=([^,]+)/.exec(authorization)?.[1]?.split(';') ?? []
  const own = names.filter((name) => name !== 'host' && !name.startsWith('x-amz-'))
  const expected = signedHeaders(
    {
      method,
      url: new URL(`http://${headers.host}${request.url}`),
      headers: Object.fromEntries(own.map((name) => [name, String(headers[name])])),
      contentHash: sha256(content),
    },
    testCredentials,
    region,
    new Date(String(headers['x-amz-date']).replace(/^(....)(..)(..T..)(..)(..Z)$/, '$1-$2-$3:$4:$5')),
  )
  return authorization === expected['authorization'] && headers['x-amz-content-sha256'] === sha256(content)
}

const escapeXml = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')

export async function startS3(bucket: string) {
  const objects = new Map<string, Buffer>()
  let failures = 0
  let requests = 0

  const listing = (query: URLSearchParams): string => {
    const prefix = query.get('prefix') ?? ''
    const entries = new Set<string>()
    for (const key of objects.keys()) {
      if (!key.startsWith(prefix)) continue
      const slash = key.indexOf('/', prefix.length)
      entries.add(slash === -1 ? key : key.slice(0, slash + 1))
    }
    const after = query.get('continuation-token') ?? ''
    const rest = [...entries].toSorted().filter((entry) => entry > after)
    const page = rest.slice(0, pageSize)
    const encode = (key: string) => escapeXml(encodeURIComponent(key).replaceAll('%2F', '/'))
    const items = page.map((entry) =>
      entry.endsWith('/')
        ? `<CommonPrefixes><Prefix>${encode(entry)}</Prefix></CommonPrefixes>`
        : `<Contents><Key>${encode(entry)}</Key></Contents>`,
    )
    const more =
      rest.length > page.length
        ? `<IsTruncated>true</IsTruncated><NextContinuationToken>${escapeXml(page.at(-1)!)}</NextContinuationToken>`
        : '<IsTruncated>false</IsTruncated>'
    return `<?xml version="1.0"?><ListBucketResult>${more}${items.join('')}</ListBucketResult>`
  }

  const answer = (request: IncomingMessage, content: Buffer): [number, string | Buffer] => {
    requests += 1
    if (failures > 0) {
      failures -= 1
      return [503, '<Error><Code>SlowDown</Code></Error>']
    }
    if (!isSigned(request, content)) return [403, '<Error><Code>SignatureDoesNotMatch</Code></Error>']
    const url = new URL(request.url ?? '', 'http://s3')
    const [, named, ...rest] = url.pathname.split('/').map(decodeURIComponent)
    if (named !== bucket) return [404, '<Error><Code>NoSuchBucket</Code></Error>']
    const key = rest.join('/')
    if (request.method === 'PUT') objects.set(key, content)
    if (request.method === 'DELETE') objects.delete(key)
    if (request.method !== 'GET') return [request.method === 'PUT' ? 200 : 204, '']
    if (key === '') return [200, listing(url.searchParams)]
    const object = objects.get(key)
    return object === undefined ? [404, '<Error><Code>NoSuchKey</Code></Error>'] : [200, object]
  }

  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const [status, body] = answer(request, Buffer.concat(chunks))
    response.writeHead(status).end(body)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    objects,
    requests: () => requests,
    /** The next so many requests are answered 503. */
    fail: (count: number): void => {
      failures = count
    },
    close: async (): Promise<void> => {
      if (!server.listening) return
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
