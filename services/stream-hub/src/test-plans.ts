import type { Bbox } from '@flasktoria/contracts/stream'
import * as fc from 'fast-check'
import type { Wishes } from './test-reference-model.ts'
import type { Bounds, Deed, Deeds, Plan } from './test-world.ts'

/** So small that everything is forgotten soon, or so large that nothing is. */
const smallBounds: Bounds = { ringLength: 6, maxEvents: 4, maxRecent: 12 }
const largeBounds: Bounds = { ringLength: 4_096, maxEvents: 4_096, maxRecent: 4_096 }

/** On edges and corners, at the antimeridian from both sides, at a pole. */
const places: (readonly [lat: number, long: number])[] = [
  [0, 0],
  [0, 10],
  [10, 10],
  [10, 20],
  [0, 179],
  [0, 180],
  [0, -180],
  [0, -179],
  [90, 45],
]
const boxes: Bbox[] = [
  [0, 0, 10, 10],
  [5, 5, 20, 20],
  [-5, -5, 5, 5],
  [10, 10, 10, 10],
  [179, -5, -180, 5],
  [180, -5, 190, 5],
  [-185, -5, -178, 5],
  [100, 80, 101, 90],
  [-180, -90, 180, 90],
  [170, 0, -170, 1],
]
const [near, far, , , antimeridian, , , , world] = boxes as [Bbox, Bbox, Bbox, Bbox, Bbox, Bbox, Bbox, Bbox, Bbox]
const wishes: Wishes[] = [
  {},
  { kinds: ['position'] },
  { vehicles: ['v0'] },
  { kinds: ['sensordata', 'anomaly'], vehicles: ['v0', 'v1'], sensors: ['s0'] },
  { kinds: ['anomaly'] },
  { vehicles: [] },
  { kinds: ['vehiclestatus', 'sensorstatus'] },
  { every: true },
  { every: true, sensors: ['s0'], vehicles: ['v0', 'v1'] },
  { positionsOnly: true },
  { positionsOnly: true, bbox: near },
  { bbox: near },
  { bbox: antimeridian },
  { bbox: far, every: true },
  { bbox: world, kinds: ['sensordata', 'anomaly'] },
  { maxRateHz: 2 },
  { maxRateHz: 20, bbox: near },
]
/** Other wishes for a subscription that is there. */
const changes: Wishes[] = [
  ...boxes.map((bbox) => ({ bbox })),
  { vehicles: ['v0', 'v2'] },
  { kinds: ['position', 'sensordata'] },
  { kinds: ['position', 'sensordata', 'sensorstatus', 'vehiclestatus', 'anomaly'] },
  { sensors: ['s1'] },
  { every: true },
  { every: false },
  { maxRateHz: 1 },
  { maxRateHz: 50 },
]

const vehicle = fc.constantFrom('v0', 'v1', 'v2')
const sensor = fc.constantFrom('s0', 's1')
const place = fc.constantFrom(...places)
/** Two things are said ten apart: 10 is as old as the one before, 25 older than the one before that. */
const age = fc.constantFrom(0, 0, 0, 10, 25)
const isLong = fc.nat(2).map((one) => one === 0)
const status = fc.constantFrom('sensorstatus', 'vehiclestatus')
const hub = fc.nat(2)
const client = fc.nat(3)
const stall = fc.constantFrom('full', 'deaf')
const wish = fc.constantFrom(...wishes)
const change = fc.constantFrom(...changes)
const mutable = fc.constantFrom('position', 'sensordata')

type Arbitraries<Args extends unknown[]> = { [Index in keyof Args]: fc.Arbitrary<Args[Index]> }
const deed = <Name extends keyof Deeds>(weight: number, name: Name, ...args: Arbitraries<Parameters<Deeds[Name]>>) => ({
  weight,
  arbitrary: fc.tuple(fc.constant(name), ...(args as fc.Arbitrary<unknown>[])) as unknown as fc.Arbitrary<Deed>,
})
const deeds = fc.oneof(
  deed(8, 'move', vehicle, place, age),
  deed(8, 'measure', vehicle, sensor, age, isLong),
  deed(2, 'state', status, vehicle, sensor),
  deed(4, 'report', vehicle),
  deed(6, 'turn', hub),
  deed(4, 'pass', fc.constantFrom(20, 100, 600)),
  deed(1, 'pass', fc.constantFrom(1_500, 3_000, 40_000)),
  deed(2, 'hold', hub),
  deed(3, 'deliver', hub, fc.nat(3)),
  deed(1, 'breakOff', hub),
  deed(1, 'failOver', fc.constantFrom(0, 1, 3, 1_000)),
  deed(1, 'kill', hub),
  deed(4, 'connect', client, hub),
  deed(1, 'disconnect', client),
  deed(3, 'stall', client, stall),
  deed(4, 'goOn', client),
  deed(3, 'second', client, wish),
  deed(5, 'update', client, fc.boolean(), change),
  deed(5, 'mute', client, mutable, fc.constantFrom('v0', 'v1'), fc.boolean()),
)
const forgetful = new Set<Deed[0]>(['breakOff', 'failOver'])

export const plan: fc.Arbitrary<Plan> = fc
  .record({
    isQuiet: fc.boolean(),
    hubs: fc.constantFrom(2, 3),
    first: fc.tuple(wish, wish, wish),
    deeds: fc.array(deeds, { maxLength: 120, size: 'max' }),
  })
  .map((drawn) => ({
    ...drawn,
    bounds: drawn.isQuiet ? largeBounds : smallBounds,
    deeds: drawn.isQuiet ? drawn.deeds.filter(([name]) => !forgetful.has(name)) : drawn.deeds,
  }))
