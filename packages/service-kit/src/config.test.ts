import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { z } from 'zod'
import { ConfigError, readConfig, redact } from './config.ts'

const folder = mkdtempSync(join(tmpdir(), 'config-'))
afterAll(() => rmSync(folder, { recursive: true }))

const schema = z.object({ PORT: z.coerce.number().default(80), SECRET: z.string().optional() })
const strict = z.object({ NAME: z.string() })
const read = (environment: Record<string, string>) => readConfig(schema, environment, ['PORT', 'SECRET'])

test('an empty environment gives the defaults', () => {
  expect(read({})).toEqual({ PORT: 80 })
  expect(read({ PORT: '' })).toEqual({ PORT: 80 })
})

test('a secret can come out of a file', () => {
  const path = join(folder, 'secret')
  writeFileSync(path, 'hunter2\n')
  expect(read({ SECRET_FILE: path })).toMatchObject({ SECRET: 'hunter2' })
})

test('all mistakes come in one message, by name', () => {
  const readWrongly = () => read({ PORT: 'x', SECRET_FILE: join(folder, 'none') })
  expect(readWrongly).toThrow(ConfigError)
  expect(readWrongly).toThrow(/SECRET_FILE: there is no file[^]*PORT: is no number$/)
  expect(() => readConfig(strict, {}, ['NAME'])).toThrow(/NAME: is missing$/)
})

test('a configuration is shown without its secrets', () => {
  const config = {
    KAFKA_PASSWORD: 'hunter2',
    KAFKA_TLS_KEY: 'hunter2',
    KAFKA_OAUTH_TOKEN_URL: 'https://issuer/token',
    HS2_URL: 'hive2://user:hunter2@host:21050/db',
    REDIS_URL: 'redis://host?sentinelPassword=hunter2&master=fleet',
    TOPICS: [/^a$/u],
  }
  expect(JSON.parse(JSON.stringify(config, redact))).toEqual({
    KAFKA_PASSWORD: '***',
    KAFKA_TLS_KEY: '***',
    KAFKA_OAUTH_TOKEN_URL: 'https://issuer/token',
    HS2_URL: 'hive2://***@host:21050/db',
    REDIS_URL: 'redis://host?sentinelPassword=***&master=fleet',
    TOPICS: ['/^a$/u'],
  })
})
