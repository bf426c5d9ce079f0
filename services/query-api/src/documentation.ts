import type { Hono } from 'hono'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { answerContent, Content } from './conditional.ts'
import { serveMethods } from './operation-routes.ts'
import type { RequestEnv } from './request-env.ts'

const page = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <title>Flasktoria API</title>
    <link rel="stylesheet" href="swagger-ui.css">
    <link rel="icon" type="image/png" href="favicon-32x32.png">
  </head>
  <body>
    <div id="swagger-ui"></div>
    <script src="swagger-ui-bundle.js"></script>
    <script src="initializer.js"></script>
  </body>
</html>
`

// Without a validator: Swagger UI would send the definition to its maker's site.
const initializer = `SwaggerUIBundle({ url: '../swagger.json', dom_id: '#swagger-ui', deepLinking: true, validatorUrl: null })
`

/** Swagger UI writes style attributes and its icons are data URLs; nothing else comes from anywhere but here. */
const contentSecurityPolicy =
  "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'self'; base-uri 'none'"

const require = createRequire(import.meta.url)
const swaggerUi = dirname(require.resolve('swagger-ui-dist/package.json'))
const contracts = join(dirname(require.resolve('@flasktoria/contracts/rest')), '..')

/** The definitions, and a page to read and try them: everything from this process, read once. */
export function serveDocumentation(app: Hono<RequestEnv>): void {
  const serve = (path: string, contentType: string, bytes: string | Buffer<ArrayBuffer>, headers = {}) => {
    const content = new Content(bytes)
    serveMethods(app, path, {
      GET: (c) => {
        c.header('Cache-Control', 'no-cache')
        return answerContent(c, content, { 'Content-Type': contentType, ...headers })
      },
    })
  }

  for (const [path, file] of [
    ['/api/swagger.json', 'openapi.json'],
    ['/api/openapi.json', 'openapi.json'],
    ['/api/asyncapi.json', 'asyncapi.json'],
  ] as const)
    serve(path, 'application/json', readFileSync(join(contracts, file), 'utf8'))

  for (const [file, contentType] of [
    ['swagger-ui.css', 'text/css; charset=utf-8'],
    ['swagger-ui-bundle.js', 'text/javascript; charset=utf-8'],
    ['favicon-32x32.png', 'image/png'],
  ] as const)
    serve(`/api/ui/${file}`, contentType, readFileSync(join(swaggerUi, file)))

  serve('/api/ui/initializer.js', 'text/javascript; charset=utf-8', initializer)
  serve('/api/ui/', 'text/html; charset=utf-8', page, { 'Content-Security-Policy': contentSecurityPolicy })
  serveMethods(app, '/api/ui', { GET: (c) => c.redirect('/api/ui/', 308) })
}
