import { expect, test } from 'vitest'
import { WaitingRoom } from './waiting-room.ts'
import { WarehouseError } from './warehouse.ts'

const never = new AbortController().signal
const bounds = { maxWaiting: 2, maxWaitMs: 5_000 }

test('things go to whoever waited longest', async () => {
  const room = new WaitingRoom(['a'], bounds)
  expect(await room.take(never)).toBe('a')
  const [first, second] = [room.take(never), room.take(never)]
  room.give('a')
  expect(await first).toBe('a')
  room.give('b')
  expect(await second).toBe('b')
})

test('a full room turns newcomers away at once', async () => {
  const room = new WaitingRoom<string>([], bounds)
  const waiting = [room.take(never), room.take(never)]
  await expect(room.take(never)).rejects.toMatchObject({ kind: 'overloaded' })
  room.refuseAll(new WarehouseError('unavailable', 'closed'))
  for (const one of waiting) await expect(one).rejects.toMatchObject({ kind: 'unavailable' })
})

test('waiting has an end', async () => {
  const room = new WaitingRoom<string>([], { maxWaiting: 1, maxWaitMs: 20 })
  await expect(room.take(never)).rejects.toMatchObject({ kind: 'overloaded' })
  expect(room.waiting).toBe(0)
})

test('what is given in the turn in which somebody left is not lost', async () => {
  const room = new WaitingRoom<string>([], bounds)
  const leaver = new AbortController()
  const left = room.take(leaver.signal)
  leaver.abort()
  room.give('a')
  await expect(left).rejects.toMatchObject({ kind: 'cancelled' })
  expect(await room.take(never)).toBe('a')
})
