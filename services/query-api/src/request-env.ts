import type { HttpBindings } from '@hono/node-server'
import type { OperationId } from '@flasktoria/contracts/rest'

/** What the handlers of one request share. */
export type RequestEnv = {
  Bindings: Partial<HttpBindings>
  Variables: { requestId: string; operation?: OperationId }
}
