import type { View } from '@flasktoria/client/fleet'
import { project, type Viewport } from '@flasktoria/client/viewport'
import type { VehicleStatus } from '@flasktoria/contracts/updates'

const dotRadius = 4
/** How far beside a dot a finger may point. */
const reach = 14
const opacity: Record<VehicleStatus, number> = { online: 1, stale: 0.45, offline: 0.2 }

type Shown = {
  viewport: Viewport
  positions: View['positions']
  health: View['health']
  selected: string | undefined
}

/** Draws the vehicles as dots: dim when they do not report as they should, ringed when selected. */
export function drawFleet(canvas: HTMLCanvasElement, { viewport, positions, health, selected }: Shown): void {
  const context = canvas.getContext('2d')
  if (!context) return
  const scale = devicePixelRatio
  canvas.width = viewport.width * scale
  canvas.height = viewport.height * scale
  context.scale(scale, scale)
  context.fillStyle = context.strokeStyle = getComputedStyle(canvas).getPropertyValue('--mark')
  for (const [vehicle, place] of positions) {
    const { x, y } = project(viewport, place)
    context.globalAlpha = opacity[health.get(vehicle) ?? 'online']
    context.beginPath()
    context.arc(x, y, dotRadius, 0, 2 * Math.PI)
    context.fill()
    if (vehicle !== selected) continue
    context.beginPath()
    context.arc(x, y, dotRadius * 2.5, 0, 2 * Math.PI)
    context.stroke()
  }
}

/** The vehicle that was pointed at. */
export function vehicleAt(viewport: Viewport, positions: View['positions'], at: { x: number; y: number }) {
  let nearest: string | undefined
  let distance = reach
  for (const [vehicle, place] of positions) {
    const { x, y } = project(viewport, place)
    const away = Math.hypot(x - at.x, y - at.y)
    if (away < distance) [nearest, distance] = [vehicle, away]
  }
  return nearest
}
