import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { z } from 'zod'
import { jsonFile } from './options.ts'

const folder = mkdtempSync(join(tmpdir(), 'options-'))
afterAll(() => rmSync(folder, { recursive: true }))
const path = join(folder, 'names.json')
const option = jsonFile(z.array(z.string()), ['built-in'], 'Names.')

test('without a file there is what is built in', () => {
  expect(option.parse(undefined)).toEqual(['built-in'])
})

test('a file replaces it', () => {
  writeFileSync(path, '["mine"]')
  expect(option.parse(path)).toEqual(['mine'])
})

test.each([
  ['a file that is not there', 'ENOENT', undefined],
  ['a file that is not JSON', 'JSON', 'names:'],
  ['a file that the schema refuses', 'expected string', '[1]'],
])('%s is a mistake that says so', (_, sentence, content) => {
  rmSync(path, { force: true })
  if (content !== undefined) writeFileSync(path, content)
  expect(option.safeParse(path).error?.issues[0]?.message).toContain(sentence)
})
