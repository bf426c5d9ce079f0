import { bboxSchema } from '@flasktoria/contracts/stream'
import { expect, test } from 'vitest'
import { boxOf, fitted, panned, placeAt, project, zoomed, type Viewport } from './viewport.ts'

const town: Viewport = { centre: { lat: 40, long: -3.7 }, degreesPerPixel: 1e-4, width: 800, height: 600 }
const viewports = [-80, 0, 52.5, 80].flatMap((lat) =>
  [-180, -3.7, 0, 179.9].flatMap((long) =>
    [1e-6, 1e-3, 0.01].map((degreesPerPixel): Viewport => ({ ...town, centre: { lat, long }, degreesPerPixel })),
  ),
)
const points = [0, 123, 800].flatMap((x) => [0, 300, 600].map((y) => ({ x, y })))

test('the place at a point is drawn at that point', () => {
  for (const viewport of viewports)
    for (const point of points) {
      const drawn = project(viewport, placeAt(viewport, point))
      expect(drawn.x).toBeCloseTo(point.x, 3)
      expect(drawn.y).toBeCloseTo(point.y, 3)
    }
})

test('a box is one that the hub takes, wherever the map was dragged and zoomed to', () => {
  for (const viewport of viewports)
    for (const pixels of [-1e6, -500, 0, 1e6])
      for (const factor of [1e-6, 0.5, 3, 1e6])
        for (const at of points) {
          const box = boxOf(zoomed(panned(viewport, { x: pixels, y: pixels }), factor, at))
          expect(bboxSchema.safeParse(box).error).toBeUndefined()
          expect(box[2]).toBeGreaterThan(box[0])
        }
})

test('zooming keeps the place under the pointer', () => {
  const at = { x: 123, y: 456 }
  const before = placeAt(town, at)
  const after = placeAt(zoomed(town, 4, at), at)
  expect(after.lat).toBeCloseTo(before.lat, 6)
  expect(after.long).toBeCloseTo(before.long, 4)
})

test('the whole earth is as far as it goes', () => {
  const [west, , east] = boxOf(zoomed(town, 1e-9, { x: 400, y: 300 }))
  expect([west, east]).toEqual([-180, 180])
})

test('a map that was dragged over the antimeridian shows both sides', () => {
  const fiji: Viewport = { centre: { lat: 0, long: 179 }, degreesPerPixel: 0.01, width: 800, height: 600 }
  expect(boxOf(fiji)).toEqual([175, -3, 183, 3])
  expect(project(fiji, { lat: 0, long: -179 }).x).toBeCloseTo(600)
  expect(panned(fiji, { x: -200, y: 0 }).centre.long).toBeCloseTo(-179)
})

test('all of a fleet fits, and so does one vehicle, or none', () => {
  const places = [
    { lat: 40, long: -3 },
    { lat: 41, long: -4 },
    { lat: 40.2, long: -3.9 },
  ]
  const viewport = fitted(places, 800, 600)
  for (const { x, y } of places.map((place) => project(viewport, place))) {
    expect(x).toBeGreaterThanOrEqual(23.9)
    expect(x).toBeLessThanOrEqual(776.1)
    expect(y).toBeGreaterThanOrEqual(23.9)
    expect(y).toBeLessThanOrEqual(576.1)
  }
  expect(fitted([places[0]!], 800, 600).centre).toEqual(places[0])
  expect(fitted([], 800, 600).degreesPerPixel).toBeGreaterThan(0)
})
