import { mediaTypes } from '@flasktoria/contracts/operation'
import { problemBody } from '@flasktoria/contracts/problems'
import type { RowsEnd } from '@flasktoria/contracts/rest-v1'
import type { ColumnBatch } from '@flasktoria/warehouse/warehouse'
import type { Context } from 'hono'
import { setImmediate as turn } from 'node:timers/promises'
import { problemOf } from './problem.ts'
import type { RequestEnv } from './request-env.ts'
import { createRowWriter, type Columns, type Piece, type RowFormat, type RowWriter } from './row-formats.ts'

/** Rows by column, batch by batch, and how the answer ends. */
export type Rows = AsyncGenerator<ColumnBatch, RowsEnd>

/**
 * Answers with rows as they come: the next batch is asked for when the client has taken the one before. What fails before the
 * first row is a problem like any other; what fails later cuts the answer off, so that it never passes for a whole one.
 * `head`: what JSON and Parquet say beside the rows.
 */
export async function answerRows(
  c: Context<RequestEnv>,
  { format, columns, head = {}, rows }: { format: RowFormat; columns: Columns; head?: object; rows: Rows },
): Promise<Response> {
  const first = await rows.next()
  c.header('Content-Type', format === 'csv' ? `${mediaTypes.csv}; charset=utf-8; header=present` : mediaTypes[format])
  // Else the headers would wait for the second batch.
  c.header('Transfer-Encoding', 'chunked')
  if (c.req.method === 'HEAD') {
    await leave(rows)
    return c.body(null)
  }
  const writer = createRowWriter(format, columns, head)
  return c.body(streamOf(c, writer, piecesOf(writer, first, rows), () => leave(rows)))
}

async function* piecesOf(writer: RowWriter, first: IteratorResult<ColumnBatch, RowsEnd>, rows: Rows) {
  let { begin } = writer
  let step = first
  for (; !step.done; step = await rows.next()) {
    const piece = joined(begin, await writer.rows(step.value))
    if (piece.length > 0) yield piece
    begin = ''
  }
  const piece = joined(begin, await writer.end(step.value))
  if (piece.length > 0) yield piece
}

const joined = (first: string, second: Piece): Piece =>
  typeof second === 'string' ? first + second : Buffer.concat([Buffer.from(first), second])

/** Whoever leaves before the end gets none. */
const leave = async (rows: Rows): Promise<void> => void (await rows.return(undefined as never))

function streamOf(
  c: Context<RequestEnv>,
  writer: RowWriter,
  pieces: AsyncGenerator<Piece>,
  cancel: () => Promise<void>,
): ReadableStream {
  const encoder = new TextEncoder()
  let failure: unknown
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        if (failure !== undefined) return cutOff(c, controller, failure)
        try {
          const { done, value } = await pieces.next()
          if (done) controller.close()
          else controller.enqueue(typeof value === 'string' ? encoder.encode(value) : value)
        } catch (error) {
          const problem = problemOf(error)
          c.get('report')(problem)
          failure = error
          const said = writer.failure(problemBody(problem.code, c.get('requestId'), problem.message, problem.fields))
          // An empty piece is never written, and nobody would ask for the next one.
          if (said === '') await cutOff(c, controller, error)
          else controller.enqueue(encoder.encode(said))
        }
      },
      cancel,
    },
    { highWaterMark: 0 },
  )
}

/**
 * Cuts the answer off, behind what was sent. The error of the stream alone would do it, but the server prints the stack of each,
 * and this one has been reported.
 */
async function cutOff({ env }: Context<RequestEnv>, stream: ReadableStreamDefaultController, error: unknown) {
  await turn()
  const bindings = env as RequestEnv['Bindings'] | undefined
  if (bindings?.outgoing) bindings.outgoing.destroy()
  else stream.error(error)
}
