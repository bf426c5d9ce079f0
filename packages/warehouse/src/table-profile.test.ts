import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { dialects } from './dialects.ts'
import {
  readTableProfile,
  refreshStatements,
  tableName,
  tableProfileOptionSchema,
  tableProfiles,
} from './table-profile.ts'

const folder = mkdtempSync(join(tmpdir(), 'table-profile-'))
const file = (name: string, content: string) => {
  writeFileSync(join(folder, name), content)
  return join(folder, name)
}

test('the built-in profiles go by their names, a site’s own one by its path', () => {
  expect(tableProfileOptionSchema.parse(undefined)).toBe(tableProfiles.own)
  expect(readTableProfile('legacy')).toBe(tableProfiles.legacy)
  const site = { ...tableProfiles.legacy, database: 'transport' }
  expect(readTableProfile(file('site.json', JSON.stringify(site)))).toEqual(site)
})

test('a profile cannot carry SQL', () => {
  const evil = { ...tableProfiles.own, database: 'x`; DROP TABLE y' }
  const result = tableProfileOptionSchema.safeParse(file('evil.json', JSON.stringify(evil)))
  expect(result.error?.issues[0]?.message).toMatch(/evil\.json is no table profile.*database/s)
})

test.each([
  ['a missing file', join(folder, 'nowhere.json'), /is not the path of a JSON file/],
  ['no JSON', file('text.json', '{'), /is not the path of a JSON file/],
  ['a misspelt key', file('key.json', JSON.stringify({ ...tableProfiles.own, databse: 'x' })), /databse/],
])('%s is refused with a sentence', (_, path, message) => {
  expect(tableProfileOptionSchema.safeParse(path).error?.issues[0]?.message).toMatch(message)
})

test('names are quoted and qualified, and refreshed where the engine caches', () => {
  const profile = { ...tableProfiles.own, database: 'transport' }
  expect(tableName(dialects.spark, profile, profile.sensor)).toBe('`transport`.`sensor_history`')
  expect(refreshStatements(dialects.spark, profile)).toEqual([
    'REFRESH TABLE `transport`.`sensor_history`',
    'REFRESH TABLE `transport`.`anomaly_history`',
  ])
  expect(refreshStatements(dialects.impala, tableProfiles.own)).toEqual([
    'REFRESH `sensor_history`',
    'REFRESH `anomaly_history`',
  ])
  expect(refreshStatements(dialects.hive, profile)).toEqual([])
  expect(refreshStatements(dialects.duckdb, profile)).toEqual([])
})
