import { expect, test } from 'vitest'
import { PartitionLag } from './lag.ts'

const lagAfter = (...steps: ((lag: PartitionLag) => void)[]) => {
  const lag = new PartitionLag()
  lag.know()
  for (const step of steps) step(lag)
  return (now: number) => {
    const { lagRecords, lagMs } = lag.read(now)
    return [lagRecords, lagMs]
  }
}

test('nothing is known before somebody looked, nor after the partitions changed', () => {
  const lag = new PartitionLag()
  const unknown = { lagRecords: null, lagMs: null }
  lag.handle('p', 5, 1_000, 1_000)
  expect(lag.read(1_000)).toEqual(unknown)
  lag.know()
  expect(lag.read(1_000)).toEqual({ lagRecords: 0, lagMs: 0 })
  lag.forget()
  expect(lag.read(1_000)).toEqual(unknown)
})

test('records add up over the partitions, and the longest wait counts', () => {
  const read = lagAfter(
    (lag) => lag.take('a', 0, 10, 1_000, 5_000),
    (lag) => lag.handle('a', 4, 2_000, 5_100),
    (lag) => lag.take('b', 7, 9, 3_000, 5_200),
  )
  expect(read(6_000)).toEqual([6 + 2, 4_000])
})

test('nothing waits once everything was handled, however long ago that was', () => {
  const read = lagAfter(
    (lag) => lag.take('a', 0, 10, 1_000, 5_000),
    (lag) => lag.handle('a', 10, 2_000, 5_100),
  )
  expect(read(1_000_000)).toEqual([0, 0])
})

test('the first record after a quiet night has not waited all night', () => {
  const night = 30_000_000
  const read = lagAfter(
    (lag) => lag.handle('a', 10, 1_000, 1_000),
    (lag) => lag.look('a', 10, 10, night),
    (lag) => lag.look('a', 10, 11, night + 300),
  )
  expect(read(night + 400)).toEqual([1, 400])
})

test('a backlog from before we came is as old as its first record, or as old as we are until that is in hand', () => {
  const read = lagAfter((lag) => lag.look('a', 3, 10, 50_000))
  expect(read(50_700)).toEqual([7, 700])
  expect(
    lagAfter(
      (lag) => lag.look('a', 3, 10, 50_000),
      (lag) => lag.take('a', 3, 10, 20_000, 50_100),
    )(51_000),
  ).toEqual([7, 31_000])
})

test('a look that is older than what was handled since does not bring it back', () => {
  const read = lagAfter(
    (lag) => lag.handle('a', 10, 1_000, 1_000),
    (lag) => lag.look('a', 4, 10, 1_100),
  )
  expect(read(2_000)).toEqual([0, 0])
})

test("a producer's clock that is ahead, or says nothing, makes no wait of its own", () => {
  const ahead = lagAfter((lag) => lag.take('a', 0, 1, 9_999_999, 1_000))
  expect(ahead(1_500)).toEqual([1, 500])
  const silent = lagAfter((lag) => lag.take('a', 0, 1, -1, 1_000))
  expect(silent(1_500)).toEqual([1, 500])
})

test('a partition that was made anew ends where it ends now', () => {
  const read = lagAfter(
    (lag) => lag.handle('a', 1_000, 1_000, 1_000),
    (lag) => lag.look('a', 0, 3, 2_000),
  )
  expect(read(2_000)).toEqual([0, 0])
})
