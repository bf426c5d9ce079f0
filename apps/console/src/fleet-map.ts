import type { Fleet } from '@flasktoria/client/fleet'
import type { LiveSocket } from '@flasktoria/client/live-socket'
import { boxOf, fitted, panned, project, zoomed, type Viewport } from '@flasktoria/client/viewport'
import type { Bbox } from '@flasktoria/contracts/stream'
import { listenToMap } from './map-controls.ts'
import { drawFleet, vehicleAt } from './map-view.ts'

const everywhere: Bbox = [-180, -90, 180, 90]
/** A map that is dragged asks for its new box this often at most. */
const askEveryMs = 150
/** About 200 metres: nobody sees how a vehicle moves within. */
const farDegreesPerPixel = 0.002
const rateHz = { near: 20, far: 2 }

type Deps = {
  canvas: HTMLCanvasElement
  fleet: Fleet
  live: Pick<LiveSocket, 'subscribe' | 'update'>
  /** The user moved the map, or pointed at a vehicle or beside all of them. */
  onChange: () => void
  onPoint: (vehicle: string | undefined) => void
}

/** The map. It subscribes to what it shows: the whole fleet, until somebody drags or zooms it. */
export class FleetMap {
  readonly #deps: Deps
  #viewport: Viewport
  #showsAll = true
  #isAsking = false

  constructor(deps: Deps) {
    this.#deps = deps
    this.#viewport = fitted([], deps.canvas.clientWidth, deps.canvas.clientHeight)
    listenToMap(deps.canvas, {
      pan: (by) => this.#move(panned(this.#viewport, by)),
      zoom: (factor, at) => this.#move(zoomed(this.#viewport, factor, at)),
      point: (at) => deps.onPoint(vehicleAt(this.#viewport, this.#positions, at)),
    })
    deps.live.subscribe('map', { positionsOnly: true, ...this.#wishes() })
  }

  get showsAll(): boolean {
    return this.#showsAll
  }

  showAll(): void {
    this.#showsAll = true
    this.#askSoon()
    this.#deps.onChange()
  }

  draw(selected: string | undefined): void {
    const { canvas, fleet } = this.#deps
    this.#fit(canvas.clientWidth, canvas.clientHeight)
    const { health } = fleet.view('fleet')
    drawFleet(canvas, { viewport: this.#viewport, positions: this.#positions, health, selected })
  }

  get #positions() {
    return this.#deps.fleet.view('map').positions
  }

  /** The whole fleet is shown until one of it drives out of sight: a map that always moves is hard to read. */
  #fit(width: number, height: number): void {
    const isResized = width !== this.#viewport.width || height !== this.#viewport.height
    const isInside = (place: { lat: number; long: number }) => {
      const { x, y } = project(this.#viewport, place)
      return x >= 0 && x <= width && y >= 0 && y <= height
    }
    const places = [...this.#positions.values()]
    const isRefitted = this.#showsAll && (isResized || !places.every(isInside))
    this.#viewport = isRefitted ? fitted(places, width, height) : { ...this.#viewport, width, height }
    if (isRefitted || isResized) this.#askSoon()
  }

  #move(viewport: Viewport): void {
    this.#viewport = viewport
    this.#showsAll = false
    this.#askSoon()
    this.#deps.onChange()
  }

  #askSoon(): void {
    if (this.#isAsking) return
    this.#isAsking = true
    setTimeout(() => {
      this.#isAsking = false
      this.#deps.live.update('map', this.#wishes())
    }, askEveryMs)
  }

  #wishes() {
    const isFar = this.#viewport.degreesPerPixel > farDegreesPerPixel
    return { bbox: this.#showsAll ? everywhere : boxOf(this.#viewport), maxRateHz: isFar ? rateHz.far : rateHz.near }
  }
}
