import { createServer, connect, type AddressInfo, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { askStock, stockOperation, stockRows, stockSession, v5 } from './hs2-stock.test-server.ts'
import { parseHs2Url } from './hs2-url.ts'
import { createHs2Warehouse, type Hs2Warehouse } from './warehouse-hs2.ts'
import type { Cell } from './warehouse.ts'

// The defects of hive-driver that a real server shows; hs2-defects.test.ts has them all.

const url = process.env['HS2_URL']
if (!url) throw new Error('HS2_URL names no HiveServer2; npm test starts one')

const [server] = parseHs2Url(url).endpoints as [{ host: string; port: number }]
const patience = { maxWaitMs: 60_000, openSessionWithinMs: 60_000, fetchRows: 50_000 }
let warehouse: Hs2Warehouse
beforeAll(async () => {
  warehouse = await createHs2Warehouse({ url, ...patience })
})
afterAll(() => warehouse.close())

async function ourRows(sql: string, from = warehouse): Promise<Cell[][]> {
  const rows: Cell[][] = []
  const options = { signal: new AbortController().signal, deadlineMs: 50_000, maxRows: 1_000_000 }
  for await (const { rowCount, values } of from.query(sql, options))
    for (let row = 0; row < rowCount; row++) rows.push(values.map((column) => column[row]!))
  return rows
}

/** A way to the server that can be cut. */
async function openWay() {
  const sockets = new Set<Socket>()
  const way = createServer((socket) => {
    const onward = connect(server.port, server.host)
    for (const end of [socket, onward]) sockets.add(end.on('error', () => {}))
    socket.pipe(onward).pipe(socket)
  })
  await new Promise<void>((resolve) => way.listen(0, '127.0.0.1', resolve))
  const { port } = way.address() as AddressInfo
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  return { port, cut, [Symbol.dispose]: () => void (cut(), way.close()) }
}

describe('large integers, decimals, and two columns of one name', () => {
  const sql =
    "SELECT 9007199254740993 AS large, CAST('12345678901234567890.125' AS DECIMAL(30,3)) AS long, 'left' AS `a.name`, 'right' AS `b.name`"

  it('stock: are spoilt', async () => {
    const [row] = await stockRows(await stockOperation(server, sql))
    expect(row).toEqual({ large: Infinity, long: 12_345_678_901_234_567_000, name: 'right' })
  })

  it('ours: come exactly', async () => {
    expect(await ourRows(sql)).toEqual([[9_007_199_254_740_993n, '12345678901234567890.125', 'left', 'right']])
  })
})

it('a protocol that answers by row has no rows for stock; ours asks for none', async () => {
  const sql = 'SELECT id FROM range(5)'
  expect(await stockRows(await stockOperation(server, sql, { protocol: v5 }))).toEqual([])
  expect(await ourRows(sql)).toHaveLength(5)
})

describe('a connection that drops', () => {
  it('stock: leaves a call pending for ever', async () => {
    using way = await openWay()
    const session = await stockSession(way)
    way.cut()
    const answer = Promise.race([askStock(session), new Promise((resolve) => setTimeout(resolve, 1000, 'pending'))])
    expect(await answer).toBe('pending')
  })

  it('ours: is an error under way, and made up for afterwards', async () => {
    using way = await openWay()
    const other = await createHs2Warehouse({ url: url.replace(String(server.port), String(way.port)), ...patience })
    const running = other.execute('SELECT COUNT(*) FROM range(1000000000000) WHERE id % 7 = 9', {
      signal: new AbortController().signal,
      deadlineMs: 50_000,
    })
    setTimeout(() => way.cut(), 500)
    await expect(running).rejects.toMatchObject({ kind: 'unavailable' })
    expect(await ourRows('SELECT 1', other)).toEqual([[1]])
    await other.close()
  })
})

it('a large message costs stock quadratic time, and ours linear time', async () => {
  const rows = 50_000
  const sql = `SELECT id, concat('row ', id) AS name FROM range(0, ${rows}, 1, 1)`
  const cpuMs = async (read: () => Promise<unknown[]>) => {
    const { user, system } = process.cpuUsage()
    expect(await read()).toHaveLength(rows)
    const after = process.cpuUsage()
    return (after.user + after.system - user - system) / 1000
  }
  const ours = await cpuMs(() => ourRows(sql))
  const stock = await cpuMs(async () => stockRows(await stockOperation(server, sql), rows))
  expect(stock / ours).toBeGreaterThan(4)
})
