import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Arena } from './arena.ts'
import { FlushFrames, type Frame } from './flush-frames.ts'
import { cursorTail, FrameWriter, maxFrameBytes, updatesHead, updatesTail, type Protocol } from './frames.ts'
import type { Group } from './groups.ts'
import { LogWindow, type Kept } from './log-window.ts'
import { createFilter } from './subscription.ts'
import { createView, type View } from './view.ts'

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
      appendedAt: 0,
      json: JSON.stringify({ vehicle_id: id }),
    },
    arrivedAtMs: 0,
    where: { vehicle: `v${index % 3}`, place: undefined },
    before: undefined,
    isCurrent: index % 4 !== 3,
  }))
const flushOf = (kept: Kept[], arena = new Arena()) => {
  const window = new LogWindow({ ringLength: 8, maxEvents: 8, maxStateKeys: 8, stateRetentionMs: 1_000 })
  return new FlushFrames({ arena, window, kept, span: [0, 1_000], cursorAt: (seq) => `e.${seq}` })
}
const groupOf = (protocol: Protocol, view: View): Group<unknown> => ({
  protocol,
  view,
  hasOwnCursors: false,
  members: new Set(),
})
const nothingElse = { touched: [] }

const parse = (bytes: Uint8Array) =>
  JSON.parse(Buffer.from(bytes).toString()) as { updates: unknown[]; cursor: string; conflated?: number }

test('the frames of a flush hold what each view sees, in order, in at most 64 KiB, once', () => {
  const arena = new Arena()
  const views = [
    createView([createFilter('', {})]),
    createView([createFilter('', { vehicles: ['v1'] })]),
    createView([createFilter('', { kinds: ['anomaly'] }), createFilter('', { vehicles: ['v0', 'v2'] })]),
    createView([]),
  ]
  fc.assert(
    fc.property(fc.array(text, { maxLength: 30 }), (texts) => {
      const kept = keptOf(texts)
      const flush = flushOf(kept, arena)
      for (const view of [...views, ...views]) {
        const touched = kept.flatMap(({ entry }, place) => (view.named.has(entry.vehicle) ? [place] : []))
        let frames: (Pick<Frame, 'bytes' | 'toSeq'> & ReturnType<typeof parse>)[] = []
        flush.give(groupOf('v2', view), { touched }, (some) => {
          frames = some.map(({ bytes, toSeq }) => ({ bytes, toSeq, ...parse(bytes) }))
        })
        const seen = kept.filter(({ entry }) =>
          view.filters.some(({ vehicles, kinds }) => !kinds && (vehicles?.has(entry.vehicle) ?? true)),
        )
        const wanted = seen.filter(({ isCurrent }) => isCurrent)
        expect(frames.flatMap(({ updates }) => updates)).toEqual(wanted.map(({ entry }) => JSON.parse(entry.json)))
        for (const { bytes, cursor, toSeq, updates } of frames) {
          expect(bytes.length <= maxFrameBytes || updates.length === 1).toBe(true)
          expect(cursor).toBe(`e.${toSeq}`)
        }
        expect(frames.at(-1)?.toSeq ?? 1_000).toBe(1_000)
        expect(frames.map(({ toSeq }) => toSeq)).toEqual(frames.map(({ toSeq }) => toSeq).toSorted((a, b) => a - b))
        const conflated = wanted.length > 0 ? seen.length - wanted.length : 0
        expect(frames.reduce((sum, frame) => sum + (frame.conflated ?? 0), 0)).toBe(conflated)
      }
    }),
  )
})

test('views with the same base share the bytes of their frames', () => {
  const flush = flushOf(keptOf(['a', 'b']))
  const given: Uint8Array[] = []
  for (const named of ['x', 'y']) {
    const view = createView([createFilter('', {}), createFilter('', { vehicles: [named] })])
    flush.give(groupOf('plain', view), nothingElse, ([frame]) => given.push(frame!.bytes))
  }
  expect(given[0]).toBe(given[1])
  expect(Buffer.from(given[0]!).toString()).toBe(
    '{"updates":[{"vehicle_id":"a"},{"vehicle_id":"b"}],"cursor":"e.1000"}',
  )
})

test('a frame writer says when a frame is full, and loses nothing', () => {
  fc.assert(
    fc.property(fc.array(text, { maxLength: 30 }), (texts) => {
      const writer = new FrameWriter(new Arena())
      const found: unknown[] = []
      const end = () => {
        if (writer.updates === 0) return
        const bytes = writer.end(updatesTail() + cursorTail('e.1'))
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
