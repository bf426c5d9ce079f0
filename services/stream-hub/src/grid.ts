import { boxHolds, type Box, type Place } from './box.ts'

/**
 * Cell sizes in degrees, each 16 times the next smaller one. A box is looked at in the smallest cells of which it covers
 * only a few, so that neither a street nor a continent costs more than what lies in it.
 */
const levels = [4, 1 / 4, 1 / 64]
const fewCells = 64

const columnsOf = (size: number) => Math.round(360 / size)
const rowOf = (size: number, lat: number) => Math.floor((lat + 90) / size)
const columnOf = (size: number, long: number) => Math.floor((long + 180) / size) % columnsOf(size)
const cellOf = (size: number, row: number, column: number) => row * columnsOf(size) + column
const cellAt = (size: number, { lat, long }: Place) =>
  // 180° east is 180° west.
  cellOf(size, rowOf(size, lat), columnOf(size, long >= 180 ? long - 360 : long))

/** How many columns a box touches, beginning with the one of its west edge; never one twice. */
const columnsTouched = (size: number, { west, width }: Box) =>
  Math.min(columnsOf(size), Math.floor((west + width + 180) / size) - columnOf(size, west) + 1)
const rowsTouched = (size: number, { south, north }: Box) => rowOf(size, north) - rowOf(size, south) + 1

/** A box that reaches a pole holds everything at the pole. */
const touchesPole = ({ south, north }: Box) => north === 90 || south === -90

function levelOf(box: Box): number {
  if (touchesPole(box)) return 0
  for (let level = levels.length - 1; level > 0; level--)
    if (columnsTouched(levels[level]!, box) * rowsTouched(levels[level]!, box) <= fewCells) return level
  return 0
}

function* cellsOf(level: number, box: Box): Generator<number> {
  const size = levels[level]!
  const [south, north] = [rowOf(size, box.south), rowOf(size, box.north)]
  for (let row = south; row <= north; row++) {
    const isPolar = (row === south && box.south === -90) || (row === north && box.north === 90)
    const first = isPolar ? 0 : columnOf(size, box.west)
    const columns = isPolar ? columnsOf(size) : columnsTouched(size, box)
    for (let column = first; column < first + columns; column++) yield cellOf(size, row, column % columnsOf(size))
  }
}

const nothing: readonly never[] = []

class Cells<T> {
  readonly #levels = levels.map(() => new Map<number, Set<T>>())

  add(level: number, cell: number, item: T): void {
    const items = this.#levels[level]!.get(cell)
    if (items) items.add(item)
    else this.#levels[level]!.set(cell, new Set([item]))
  }

  delete(level: number, cell: number, item: T): void {
    const items = this.#levels[level]!.get(cell)
    if (items?.delete(item) && items.size === 0) this.#levels[level]!.delete(cell)
  }

  in(level: number, cell: number): Iterable<T> {
    return this.#levels[level]!.get(cell) ?? nothing
  }
}

/** Finds what lies in a box: the cost follows what lies in it and close to it. */
export class PlaceIndex<T> {
  readonly #cells = new Cells<T>()

  /** `before`, `now`: undefined is nowhere. */
  move(item: T, before: Place | undefined, now: Place | undefined): void {
    for (const [level, size] of levels.entries()) {
      const from = before && cellAt(size, before)
      const to = now && cellAt(size, now)
      if (from === to) continue
      if (from !== undefined) this.#cells.delete(level, from, item)
      if (to !== undefined) this.#cells.add(level, to, item)
    }
  }

  /** Calls with everything in the cells that the box touches: some of it lies beside the box. A callback: there may be much. */
  forEachNear(box: Box, visit: (item: T) => void): void {
    const level = levelOf(box)
    for (const cell of cellsOf(level, box)) for (const item of this.#cells.in(level, cell)) visit(item)
  }
}

/** Finds the boxes that hold a place. */
export class BoxIndex<T extends { readonly box: Box }> {
  readonly #cells = new Cells<T>()
  #size = 0

  get size(): number {
    return this.#size
  }

  add(item: T): void {
    const level = levelOf(item.box)
    for (const cell of cellsOf(level, item.box)) this.#cells.add(level, cell, item)
    this.#size++
  }

  delete(item: T): void {
    const level = levelOf(item.box)
    for (const cell of cellsOf(level, item.box)) this.#cells.delete(level, cell, item)
    this.#size--
  }

  /** Calls with every box that holds a place. A callback: this is asked for each update. */
  forEachAt(place: Place | undefined, visit: (item: T) => void): void {
    if (!place) return
    for (let level = 0; level < levels.length; level++)
      for (const item of this.#cells.in(level, cellAt(levels[level]!, place)))
        if (boxHolds(item.box, place)) visit(item)
  }
}
