// Writes openapi.json and asyncapi.json beside the contracts, and the configuration tables of the README. With --check it only
// compares. Validates both specs.
import { Parser } from '@asyncapi/parser'
import { asyncapiDocument } from '@flasktoria/contracts/asyncapi'
import { openapiDocument } from '@flasktoria/contracts/openapi'
import { configSchema as ingestSchema } from '@flasktoria/kafka-ingest/config'
import { configSchema as querySchema } from '@flasktoria/query-api/config'
import { configSchema as hubSchema } from '@flasktoria/stream-hub/config'
import { Validator } from '@seriousme/openapi-schema-validator'
import { readFileSync, writeFileSync } from 'node:fs'
import { configTable } from './config-table.ts'

const folder = new URL('../packages/contracts/', import.meta.url)
const { version }: { version: string } = JSON.parse(readFileSync(new URL('package.json', folder), 'utf8'))
const specs = { 'openapi.json': openapiDocument(version), 'asyncapi.json': asyncapiDocument(version) }
const services = { 'query-api': querySchema, 'stream-hub': hubSchema, 'kafka-ingest': ingestSchema }
const complaints: string[] = []

function write(path: URL, text: string): void {
  if (!process.argv.includes('--check')) writeFileSync(path, text)
  else if (readFileSync(path, 'utf8') !== text)
    complaints.push(`${path.pathname} is not what the schemas say; run: npm run specs`)
}

for (const [name, document] of Object.entries(specs))
  write(new URL(name, folder), `${JSON.stringify(document, null, 2)}\n`)

const readme = new URL('../README.md', import.meta.url)
const tables = Object.entries(services).map(([name, schema]) => `### ${name}\n\n${configTable(schema)}\n`)
write(
  readme,
  readFileSync(readme, 'utf8').replace(
    /(<!-- configuration -->\n)[^]*?(<!-- \/configuration -->)/,
    (_, begin: string, end: string) => `${begin}\n${tables.join('\n')}\n${end}`,
  ),
)

const openapi = await new Validator().validate(structuredClone(specs['openapi.json']))
if (!openapi.valid) complaints.push(`openapi.json is not valid OpenAPI 3.1: ${JSON.stringify(openapi.errors)}`)
/** Spectral counts down: 0 is an error. */
const isError = (severity: number) => severity === 0
const diagnostics = await new Parser().validate(JSON.stringify(specs['asyncapi.json']))
for (const { severity, message, path } of diagnostics)
  if (isError(severity)) complaints.push(`asyncapi.json is not valid AsyncAPI 3.0: ${path.join('.')}: ${message}`)

for (const complaint of complaints) console.error(complaint)
process.exitCode = complaints.length > 0 ? 1 : 0
