import type { PositionUpdate } from '@flasktoria/contracts/updates'

const dotRadius = 4
const margin = 24

/** Draws the fleet as dots, scaled so that all of it fits. Equirectangular: right enough for the size of a city. */
export function drawFleet(canvas: HTMLCanvasElement, positions: Iterable<PositionUpdate>): void {
  const context = canvas.getContext('2d')
  if (!context) return
  const scale = devicePixelRatio
  const width = canvas.clientWidth
  const height = canvas.clientHeight
  canvas.width = width * scale
  canvas.height = height * scale
  context.scale(scale, scale)

  const dots = [...positions]
  const [south, north] = range(dots.map(({ lat }) => lat))
  const [west, east] = range(dots.map(({ long }) => long))
  const squeeze = Math.cos((((south + north) / 2) * Math.PI) / 180)
  const unit = Math.min(
    (width - 2 * margin) / ((east - west) * squeeze || 1),
    (height - 2 * margin) / (north - south || 1),
  )

  context.fillStyle = getComputedStyle(canvas).getPropertyValue('--mark')
  for (const { lat, long } of dots) {
    context.beginPath()
    const x = width / 2 + (long - (west + east) / 2) * squeeze * unit
    const y = height / 2 - (lat - (south + north) / 2) * unit
    context.arc(x, y, dotRadius, 0, 2 * Math.PI)
    context.fill()
  }
}

const range = (values: number[]): [number, number] =>
  values.length === 0
    ? [0, 0]
    : values.reduce<[number, number]>(
        ([low, high], value) => [Math.min(low, value), Math.max(high, value)],
        [Infinity, -Infinity],
      )
