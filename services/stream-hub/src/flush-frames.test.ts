import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Arena } from './arena.ts'
import { FlushFrames, type Frame } from './flush-frames.ts'
import { FrameWriter, maxFrameBytes, updatesHead, updatesTail } from './frames.ts'
import type { Kept } from './log-window.ts'
import { createFilter } from './subscription.ts'
import { createView } from './view.ts'

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom('🚚'.repeat(3_000), 'x'.repeat(20_000)),
)
const keptOf = (texts: readonly string[]): Kept[] =>
  texts.map((id, index) => ({
    seq: index * 3 + 1,
    entry: {
      seq: index * 3 + 1,
      kind: 'position',
      vehicle: `v${index % 3}`,
      sensor: '',
      eventTs: 0,
      isLate: false,
      json: JSON.stringify({ vehicle_id: id }),
    },
    arrivedAtMs: 0,
    conflated: index % 2,
    isCurrent: true,
  }))

const parse = (bytes: Uint8Array) =>
  JSON.parse(Buffer.from(bytes).toString()) as { updates: unknown[]; cursor: string; conflated?: number }

test('the frames of a flush hold what each view sees, in order, in at most 64 KiB, once', () => {
  const arena = new Arena()
  const views = [
    createView([createFilter({})]),
    createView([createFilter({ vehicles: ['v1'] })]),
    createView([createFilter({ kinds: ['anomaly'] }), createFilter({ vehicles: ['v0', 'v2'] })]),
    createView([]),
  ]
  fc.assert(
    fc.property(fc.array(text, { maxLength: 30 }), (texts) => {
      const kept = keptOf(texts)
      const flush = new FlushFrames(arena, kept, 1_000, (seq) => `e.${seq}`)
      for (const view of [...views, ...views]) {
        const touched = kept.flatMap(({ entry }, place) => (view.named.has(entry.vehicle) ? [place] : []))
        let frames: (Omit<Frame, 'updates' | 'conflated'> & ReturnType<typeof parse>)[] = []
        flush.give('v2', view, touched.length > 0 ? touched : undefined, (some) => {
          frames = some.map(({ bytes, toSeq }) => ({ bytes, toSeq, ...parse(bytes) }))
        })
        const wanted = kept.filter(({ entry }) =>
          view.filters.some(({ vehicles, kinds }) => !kinds && (vehicles?.has(entry.vehicle) ?? true)),
        )
        expect(frames.flatMap(({ updates }) => updates)).toEqual(wanted.map(({ entry }) => JSON.parse(entry.json)))
        for (const { bytes, cursor, toSeq, updates } of frames) {
          expect(bytes.length <= maxFrameBytes || updates.length === 1).toBe(true)
          expect(cursor).toBe(`e.${toSeq}`)
        }
        expect(frames.at(-1)?.toSeq ?? 1_000).toBe(1_000)
        expect(frames.map(({ toSeq }) => toSeq)).toEqual(frames.map(({ toSeq }) => toSeq).toSorted((a, b) => a - b))
        const conflated = wanted.reduce((sum, one) => sum + one.conflated, 0)
        expect(frames.reduce((sum, frame) => sum + (frame.conflated ?? 0), 0)).toBe(conflated)
      }
    }),
  )
})

test('views with the same base share the bytes of their frames', () => {
  const flush = new FlushFrames(new Arena(), keptOf(['a', 'b']), 9, String)
  const given: Uint8Array[] = []
  for (const named of ['x', 'y'])
    flush.give('plain', createView([createFilter({}), createFilter({ vehicles: [named] })]), undefined, ([frame]) =>
      given.push(frame!.bytes),
    )
  expect(given[0]).toBe(given[1])
  expect(Buffer.from(given[0]!).toString()).toBe('{"updates":[{"vehicle_id":"a"},{"vehicle_id":"b"}],"cursor":"9"}')
})

test('a frame writer says when a frame is full, and loses nothing', () => {
  fc.assert(
    fc.property(fc.array(text, { maxLength: 30 }), (texts) => {
      const writer = new FrameWriter(new Arena())
      const found: unknown[] = []
      const end = () => {
        if (writer.updates === 0) return
        const bytes = writer.end(updatesTail('e.1'))
        expect(bytes.length <= maxFrameBytes || writer.updates === 1).toBe(true)
        found.push(...parse(bytes).updates)
      }
      writer.begin(updatesHead.v2)
      for (const json of texts.map((one) => JSON.stringify(one)))
        if (!writer.add(json)) {
          end()
          writer.begin(updatesHead.v2)
          writer.add(json)
        }
      end()
      expect(found).toEqual(texts)
    }),
  )
})
