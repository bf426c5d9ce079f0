import type { HttpBindings } from '@hono/node-server'
import type { OperationId } from '@flasktoria/contracts/rest'
import type { Problem } from './problem.ts'

/** What the handlers of one request share. */
export type RequestEnv = {
  Bindings: Partial<HttpBindings>
  Variables: {
    requestId: string
    operation?: OperationId
    /** Of a question about the past: aborts when nobody waits for the answer any more. */
    signal: AbortSignal
    /** Counts and logs what failed. An answer that has begun can do no more. */
    report: (problem: Problem) => void
  }
}
