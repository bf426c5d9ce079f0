import { expect, test } from 'vitest'
import { percentEncode, sha256, signedHeaders } from './s3-signature.ts'

const credentials = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
}
const then = new Date('2013-05-24T00:00:00Z')

// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html, its examples.
test.each([
  [
    'GET',
    'https://examplebucket.s3.amazonaws.com/test.txt',
    { range: 'bytes=0-9' },
    '',
    'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
  ],
  [
    'PUT',
    'https://examplebucket.s3.amazonaws.com/test%24file.text',
    { date: 'Fri, 24 May 2013 00:00:00 GMT', 'x-amz-storage-class': 'REDUCED_REDUNDANCY' },
    'Welcome to Amazon S3.',
    '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
  ],
  [
    'GET',
    'https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J',
    {},
    '',
    '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
  ],
])('a %s of %s is signed as AWS says', (method, url, headers, content, signature) => {
  const request = { method, url: new URL(url), headers, contentHash: sha256(content) }
  expect(signedHeaders(request, credentials, 'us-east-1', then)['authorization']).toMatch(`Signature=${signature}`)
})

test('temporary credentials send their token, signed', () => {
  const request = { method: 'GET', url: new URL('https://b.example/x'), headers: {}, contentHash: sha256('') }
  const signed = signedHeaders(request, { ...credentials, sessionToken: 'token' }, 'us-east-1', then)
  expect(signed['x-amz-security-token']).toBe('token')
  expect(signed['authorization']).toContain('x-amz-security-token')
})

test('everything but unreserved characters is written as bytes', () => {
  expect(percentEncode("a-b_c.d~e f/g=h'(é")).toBe('a-b_c.d~e%20f%2Fg%3Dh%27%28%C3%A9')
})
