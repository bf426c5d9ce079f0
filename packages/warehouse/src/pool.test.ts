import { afterEach, describe, expect, it } from 'vitest'
import { Pool, type Poolable, type PoolOptions } from './pool.ts'
import { WarehouseError } from './warehouse.ts'

class FakeConnection implements Poolable {
  failure: WarehouseError | undefined
  isClosed = false
  readonly server: number
  #onFailure = () => {}

  constructor(server: number) {
    this.server = server
  }

  set onFailure(listener: () => void) {
    this.#onFailure = listener
  }

  break(): void {
    this.failure = new WarehouseError('unavailable', 'broken')
    this.#onFailure()
  }

  async close(): Promise<void> {
    this.isClosed = true
    this.failure ??= new WarehouseError('unavailable', 'closed')
  }
}

const never = new AbortController().signal
const pools: Pool<FakeConnection>[] = []
afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.close()))
})

function createPool(options: Partial<PoolOptions<FakeConnection>> = {}) {
  const opened: FakeConnection[] = []
  const down = new Set<number>()
  let opens = 0
  const pool = new Pool<FakeConnection>({
    servers: ['a'],
    open: async (server) => {
      opens++
      await new Promise(setImmediate)
      if (down.has(server)) throw new WarehouseError('unavailable', `server ${server} is down`)
      const connection = new FakeConnection(server)
      opened.push(connection)
      return connection
    },
    connectionsPerServer: 2,
    maxWaiters: 3,
    maxWaitMs: 50,
    maxAgeMs: 60_000,
    circuit: { failures: 3, withinMs: 1000 },
    probeAfterMs: 10,
    ...options,
  })
  pools.push(pool)
  return { pool, opened, down, opens: () => opens }
}

async function eventually(check: () => boolean): Promise<void> {
  const endsAt = performance.now() + 2000
  while (!check()) {
    if (performance.now() > endsAt) throw new Error('it did not come about within 2 s')
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

describe('borrowing', () => {
  it('gives each connection to one borrower at a time, and the same one again later', async () => {
    const { pool, opened } = createPool()
    const [first, second] = await Promise.all([pool.acquire(never), pool.acquire(never)])
    expect(first.connection).not.toBe(second.connection)
    first.release()
    const third = await pool.acquire(never)
    expect(third.connection).toBe(first.connection)
    expect(opened).toHaveLength(2)
    second.release()
    third.release()
  })

  it('serves those who wait in their order', async () => {
    const { pool } = createPool({ connectionsPerServer: 1, maxWaitMs: 1000 })
    const lease = await pool.acquire(never)
    const order: number[] = []
    const waiting = [1, 2, 3].map(async (number) => {
      const next = await pool.acquire(never)
      order.push(number)
      next.release()
    })
    lease.release()
    await Promise.all(waiting)
    expect(order).toEqual([1, 2, 3])
  })

  it('is overloaded when the wait is too long, or too many wait', async () => {
    const { pool } = createPool({ connectionsPerServer: 1 })
    const lease = await pool.acquire(never)
    const waiting = [1, 2, 3].map(() => pool.acquire(never))
    const settled = Promise.allSettled(waiting)
    await expect(pool.acquire(never)).rejects.toMatchObject({
      kind: 'overloaded',
      message: '3 statements wait for a connection already',
    })
    expect((await settled).map((result) => (result as PromiseRejectedResult).reason.kind)).toEqual(
      Array.from({ length: 3 }).fill('overloaded'),
    )
    lease.release()
    expect(pool.usage()).toEqual({ idle: 1, busy: 0, opening: 0, waiting: 0, openCircuits: 0 })
  })

  it('stops waiting when the borrower gives up', async () => {
    const { pool } = createPool({ connectionsPerServer: 1, maxWaitMs: 1000 })
    const lease = await pool.acquire(never)
    const controller = new AbortController()
    const waiting = pool.acquire(controller.signal)
    controller.abort(new Error('gone'))
    await expect(waiting).rejects.toThrow('gone')
    expect(pool.usage().waiting).toBe(0)
    lease.release()
    expect(pool.usage().idle).toBe(1)
  })

  it('takes the servers in turn', async () => {
    const { pool } = createPool({ servers: ['a', 'b', 'c'], connectionsPerServer: 1 })
    const leases = await Promise.all([pool.acquire(never), pool.acquire(never), pool.acquire(never)])
    expect(new Set(leases.map((lease) => lease.server))).toEqual(new Set([0, 1, 2]))
    for (const lease of leases) lease.release()
  })

  it('gives a place back once, however often it is said', async () => {
    const { pool } = createPool()
    const lease = await pool.acquire(never)
    lease.release()
    lease.release()
    expect(pool.usage()).toMatchObject({ idle: 1, busy: 0 })
  })
})

describe('a connection', () => {
  it('that broke is not lent again', async () => {
    const { pool } = createPool()
    const lease = await pool.acquire(never)
    lease.connection.break()
    lease.release()
    const next = await pool.acquire(never)
    expect(next.connection.failure).toBeUndefined()
    next.release()
  })

  it('that breaks while it is idle is forgotten, and that is no failure of the server', async () => {
    const { pool, opened } = createPool()
    ;(await pool.acquire(never)).release()
    opened[0]!.break()
    expect(pool.usage()).toMatchObject({ idle: 0 })
    expect(pool.failing()).toBeUndefined()
  })

  it('whose session is gone takes its idle neighbours with it', async () => {
    const { pool, opened } = createPool()
    const [first, second] = await Promise.all([pool.acquire(never), pool.acquire(never)])
    second.release()
    first.release({ isSuspect: true })
    expect(opened.map((connection) => connection.isClosed)).toEqual([true, true])
    expect(pool.failing()).toBeUndefined()
  })

  it('is closed when it is old', async () => {
    const { pool, opened } = createPool({ maxAgeMs: 0 })
    ;(await pool.acquire(never)).release()
    expect(opened[0]!.isClosed).toBe(true)
  })
})

describe('a server that is down', () => {
  it('is found out at once, left alone after some failures, and found again by a probe', async () => {
    const { pool, down, opens } = createPool({ probeAfterMs: 100 })
    down.add(0)
    for (let attempt = 0; attempt < 3; attempt++)
      await expect(pool.acquire(never)).rejects.toMatchObject({ kind: 'unavailable', message: 'server 0 is down' })
    expect(pool.failing()).toBe('server 0 is down')
    expect(pool.hasServer).toBe(false)
    const before = opens()
    for (let attempt = 0; attempt < 100; attempt++)
      await expect(pool.acquire(never)).rejects.toMatchObject({ kind: 'unavailable' })
    expect(opens()).toBe(before)
    down.clear()
    await eventually(() => pool.hasServer)
    expect(pool.failing()).toBeUndefined()
    ;(await pool.acquire(never)).release()
  })

  it('does not keep the others from answering', async () => {
    const { pool, down } = createPool({ servers: ['a', 'b'], probeAfterMs: 10_000 })
    down.add(0)
    const results: string[] = []
    for (let turn = 0; turn < 20; turn++) {
      try {
        const lease = await pool.acquire(never)
        lease.release()
        results.push('ok')
      } catch {
        results.push('failed')
      }
    }
    expect(results.filter((result) => result === 'failed').length).toBeLessThanOrEqual(3)
    expect(pool.failing()).toBeUndefined()
  })

  it('frees all who wait for it', async () => {
    const { pool, down } = createPool({ circuit: { failures: 1, withinMs: 1000 }, maxWaitMs: 10_000 })
    down.add(0)
    const waiting = [1, 2, 3].map(() => pool.acquire(never))
    for (const result of await Promise.allSettled(waiting))
      expect(result).toMatchObject({ status: 'rejected', reason: { kind: 'unavailable' } })
  })
})

it('closing rejects those who wait, closes what is idle, and waits for what is lent', async () => {
  const { pool, opened } = createPool({ connectionsPerServer: 1, maxWaitMs: 10_000 })
  const lease = await pool.acquire(never)
  const waiting = pool.acquire(never)
  let isClosed = false
  const closing = pool.close().then(() => (isClosed = true))
  await expect(waiting).rejects.toMatchObject({ kind: 'unavailable' })
  await new Promise(setImmediate)
  expect(isClosed).toBe(false)
  lease.release()
  await closing
  expect(opened[0]!.isClosed).toBe(true)
  await expect(pool.acquire(never)).rejects.toMatchObject({ kind: 'unavailable' })
})
