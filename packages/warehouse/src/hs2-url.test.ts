import { describe, expect, it } from 'vitest'
import { parseHs2Url } from './hs2-url.ts'

describe('the address of HiveServer2', () => {
  it('may be as short as a host', () => {
    expect(parseHs2Url('hive2://hive')).toEqual({
      endpoints: [{ host: 'hive', port: 10_000 }],
      database: undefined,
      mechanism: 'NOSASL',
      username: '',
      password: '',
      tls: undefined,
      httpPath: undefined,
    })
  })

  it('may say everything', () => {
    const url =
      'hive2://ada:p%40ss:w@a.example:21050,[::1]:21051/fleet?auth=plain&tls=true&ca=/etc/ca.pem&servername=impala'
    expect(parseHs2Url(url)).toEqual({
      endpoints: [
        { host: 'a.example', port: 21_050 },
        { host: '::1', port: 21_051 },
      ],
      database: 'fleet',
      mechanism: 'PLAIN',
      username: 'ada',
      password: 'p@ss:w',
      tls: { caFile: '/etc/ca.pem', servername: 'impala' },
      httpPath: undefined,
    })
  })

  it('means PLAIN when it names a user', () => {
    expect(parseHs2Url('hive2://ada@hive:1/').mechanism).toBe('PLAIN')
    expect(parseHs2Url('hive2://ada@hive:1/?auth=NOSASL').mechanism).toBe('NOSASL')
  })

  it('may lead through a gateway that speaks HTTP', () => {
    const { httpPath } = parseHs2Url('hive2://ada@knox:8443/?transportMode=http&httpPath=gateway/default/hive&tls=true')
    expect(httpPath).toBe('/gateway/default/hive')
    expect(parseHs2Url('hive2://hive/?transportMode=http').httpPath).toBe('/cliservice')
  })

  it.each(['KERBEROS', 'GSSAPI'])('with auth=%s is refused with a way out', (auth) => {
    expect(() => parseHs2Url(`hive2://hive/?auth=${auth}`)).toThrow(/Kerberos.*native library.*auth=PLAIN/)
  })

  it.each([
    'http://hive:10000/',
    'hive2://',
    'hive2://hive:0/',
    'hive2://hive:70000/',
    'hive2://hive,/',
    'hive2://hive/a;drop',
    'hive2://hive/?auth=LDAP',
    'hive2://hive/?tls=yes',
    'hive2://hive/?ca=/x',
    'hive2://hive/?compress=true',
    'hive2://hive/?transportMode=carrier-pigeon',
    'hive2://hive/?httpPath=cliservice',
    'hive2://hive/?transportMode=http&httpPath=a%20b',
    'hive2://hive/?transportMode=http&httpPath=a%0d%0ab',
    'hive2://hive/?auth=PLAIN&auth=NOSASL',
    'hive2://a%zz@hive/',
  ])('%s is refused with a sentence', (url) => expect(() => parseHs2Url(url)).toThrow(TypeError))

  it('never gives the password away', () => {
    for (const url of ['hive2://ada:secret@hive:99999/', 'hive2://ada:secret@hive/?x=1', 'hive2//ada:secret@hive'])
      expect(() => parseHs2Url(url)).toThrow(
        expect.objectContaining({ message: expect.not.stringContaining('secret') }),
      )
  })
})
