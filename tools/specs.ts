// Writes openapi.json and asyncapi.json beside the contracts; with --check it only compares, and validates both.
import { Parser } from '@asyncapi/parser'
import { asyncapiDocument } from '@flasktoria/contracts/asyncapi'
import { openapiDocument } from '@flasktoria/contracts/openapi'
import { Validator } from '@seriousme/openapi-schema-validator'
import { readFileSync, writeFileSync } from 'node:fs'

const folder = new URL('../packages/contracts/', import.meta.url)
const { version }: { version: string } = JSON.parse(readFileSync(new URL('package.json', folder), 'utf8'))
const specs = { 'openapi.json': openapiDocument(version), 'asyncapi.json': asyncapiDocument(version) }
const complaints: string[] = []

for (const [name, document] of Object.entries(specs)) {
  const path = new URL(name, folder)
  const text = `${JSON.stringify(document, null, 2)}\n`
  if (!process.argv.includes('--check')) writeFileSync(path, text)
  else if (readFileSync(path, 'utf8') !== text)
    complaints.push(`${name} is not what the schemas say; run: npm run specs`)
}

const openapi = await new Validator().validate(structuredClone(specs['openapi.json']))
if (!openapi.valid) complaints.push(`openapi.json is not valid OpenAPI 3.1: ${JSON.stringify(openapi.errors)}`)
/** Spectral counts down: 0 is an error. */
const isError = (severity: number) => severity === 0
const diagnostics = await new Parser().validate(JSON.stringify(specs['asyncapi.json']))
for (const { severity, message, path } of diagnostics)
  if (isError(severity)) complaints.push(`asyncapi.json is not valid AsyncAPI 3.0: ${path.join('.')}: ${message}`)

for (const complaint of complaints) console.error(complaint)
process.exitCode = complaints.length > 0 ? 1 : 0
