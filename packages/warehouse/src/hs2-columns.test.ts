import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { exactDecimal, readFetchedRows } from './hs2-columns.ts'
import { thriftType as types } from './hs2-thrift-types.ts'
import * as wire from './hs2-wire.test-server.ts'
import { WarehouseError } from './warehouse.ts'

const column = (kind: number, elementType: number, values: wire.Encoded[], nulls: Buffer = Buffer.alloc(0)) =>
  wire.struct({ [kind]: wire.struct({ 1: wire.list(elementType, values), 2: wire.text(nulls) }) })
const answer = (...columns: wire.Encoded[]) =>
  wire.struct({
    0: wire.struct({
      1: wire.struct({ 1: wire.i32(0) }),
      2: wire.bool(false),
      3: wire.struct({ 3: wire.list(types.struct, columns) }),
    }),
  }).bytes
const firstColumn = (...columns: wire.Encoded[]) => readFetchedRows(answer(...columns), 0)!.columns[0]

function kindOfFailure(bytes: Buffer): unknown {
  try {
    readFetchedRows(bytes, 0)
    return undefined
  } catch (error) {
    return error instanceof WarehouseError ? error.kind : error
  }
}

describe('rows of an answer', () => {
  it('have every kind of value at its position', () => {
    const rows = readFetchedRows(
      answer(
        column(1, types.bool, [wire.bool(true), wire.bool(false)]),
        column(2, types.byte, [wire.byte(-1), wire.byte(127)]),
        column(3, types.i16, [wire.i16(-300), wire.i16(300)]),
        column(4, types.i32, [wire.i32(-70_000), wire.i32(70_000)]),
        column(6, types.double, [wire.double(0.1), wire.double(-1e300)]),
        column(7, types.string, [wire.text(''), wire.text('häuser 🚌')]),
        column(8, types.string, [wire.text(Buffer.from([0, 255])), wire.text('')]),
      ),
      0,
    )
    expect(rows).toEqual({
      status: { statusCode: 0 },
      hasMoreRows: false,
      rowCount: 2,
      columns: [
        [true, false],
        [-1, 127],
        [-300, 300],
        [-70_000, 70_000],
        [0.1, -1e300],
        ['', 'häuser 🚌'],
        ['00ff', ''],
      ],
    })
  })

  it('have every text, in whatever letters and however long', () => {
    const plain = fc.string({ maxLength: 200 })
    const texts = fc.array(fc.oneof(plain, plain, fc.string({ unit: 'grapheme' })), { maxLength: 20 })
    fc.assert(
      fc.property(fc.oneof(fc.array(plain), texts), (values) => {
        expect(firstColumn(column(7, types.string, values.map(wire.text)))).toEqual(values)
      }),
    )
  })

  it('have exact 64-bit integers: a number where one can say it, else a bigint', () => {
    fc.assert(
      fc.property(fc.array(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })), (values) => {
        const read = firstColumn(column(5, types.i64, values.map(wire.i64)))!
        expect(read.map((cell) => BigInt(cell as number | bigint))).toEqual(values)
        for (const cell of read) expect(typeof cell === 'bigint' || Number.isSafeInteger(cell)).toBe(true)
      }),
    )
    const edges = [2n ** 53n - 1n, 2n ** 53n, -(2n ** 53n) + 1n, -(2n ** 53n), 0n, -1n].map(wire.i64)
    expect(firstColumn(column(5, types.i64, edges))).toEqual([
      9_007_199_254_740_991,
      9_007_199_254_740_992n,
      -9_007_199_254_740_991,
      -9_007_199_254_740_992n,
      0,
      -1,
    ])
  })

  it('have null where the bitmap says so, also when it is shorter or longer than the column', () => {
    const values = Array.from({ length: 10 }, (_, index) => wire.i32(index))
    const read = (nulls: number[]) => firstColumn(column(4, types.i32, values, Buffer.from(nulls)))
    expect(read([0b101])).toEqual([null, 1, null, 3, 4, 5, 6, 7, 8, 9])
    expect(read([0, 0b1111_1111, 0xff])).toEqual([0, 1, 2, 3, 4, 5, 6, 7, null, null])
  })

  it('may lack altogether, as when Impala is still executing', () => {
    const body = wire.struct({ 0: wire.struct({ 1: wire.struct({ 1: wire.i32(2) }), 2: wire.bool(true) }) }).bytes
    expect(readFetchedRows(body, 0)).toEqual({ status: { statusCode: 2 }, hasMoreRows: true, rowCount: 0, columns: [] })
  })

  it('are refused when the columns differ in length', () => {
    const bytes = answer(column(4, types.i32, [wire.i32(1)]), column(4, types.i32, []))
    expect(() => readFetchedRows(bytes, 0)).toThrow(expect.objectContaining({ kind: 'unavailable' }))
  })

  it('cost an error and nothing else when they are broken', () => {
    const bytes = answer(
      column(5, types.i64, [wire.i64(1n), wire.i64(2n)]),
      column(7, types.string, [wire.text('a'), wire.text('b')], Buffer.from([2])),
    )
    fc.assert(
      fc.property(
        fc.nat(bytes.length - 1),
        fc.integer({ min: 0, max: 255 }),
        fc.nat(bytes.length),
        (at, value, length) => {
          const broken = Buffer.from(bytes.subarray(0, length))
          if (at < length) broken[at] = value
          expect([undefined, 'unavailable']).toContain(kindOfFailure(broken))
        },
      ),
    )
  })

  it('are not made room for before they are there', () => {
    const claim = Buffer.concat([Buffer.from([types.i64]), wire.i32(0x7f_ff_ff_ff).bytes])
    const bytes = answer(wire.struct({ 5: wire.struct({ 1: { type: types.list, bytes: claim } }) }))
    expect(() => readFetchedRows(bytes, 0)).toThrow(/longer than itself/)
  })
})

describe('a DECIMAL', () => {
  it.each([
    ['1.25', 1.25],
    ['1.50', 1.5],
    ['100', 100],
    ['2.000', 2],
    ['0.1', 0.1],
    ['-0.5', -0.5],
    ['0.00', 0],
    ['9007199254740993', 9_007_199_254_740_993n],
    ['123456789012345678901.00', 123_456_789_012_345_678_901n],
    ['12345678901234567890.123', '12345678901234567890.123'],
    ['0.1234567890123456789', '0.1234567890123456789'],
  ])('%s comes as %s', (text, value) => expect(exactDecimal(text)).toBe(value))
})
