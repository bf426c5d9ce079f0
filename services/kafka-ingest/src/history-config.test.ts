import { readConfig } from '@flasktoria/service-kit/config'
import { expect, test } from 'vitest'
import { configSchema, optionNames } from './config.ts'

const read = (environment: Record<string, string>) => readConfig(configSchema, environment, optionNames)
const key = { HISTORY_S3_ACCESS_KEY_ID: 'me', HISTORY_S3_SECRET_ACCESS_KEY: 'secret' }

test.each(['var/history', '/data', 'file:///data', 's3://fleet', 's3://fleet-1.site/a/b/'])(
  'the history can lie in %s',
  (HISTORY_DIR) => {
    expect(read({ HISTORY_DIR, ...key })).toMatchObject({ HISTORY_DIR })
  },
)

test.each([
  'hdfs://host/x',
  'file://host/data',
  's3://',
  's3://UPPER/x',
  's3://a',
  's3://fleet/../x',
  's3://fleet/x?y',
  'https://fleet/x',
])('the history can not lie in %s', (HISTORY_DIR) => {
  expect(() => read({ HISTORY_DIR, ...key })).toThrow('HISTORY_DIR: is neither a folder nor a URL')
})

test('a bucket needs an access key', () => {
  expect(() => read({ HISTORY_DIR: 's3://fleet' })).toThrow(
    /HISTORY_S3_ACCESS_KEY_ID: is missing[^]*HISTORY_S3_SECRET_ACCESS_KEY: is missing/,
  )
})
