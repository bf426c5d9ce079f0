import type { Point } from '@flasktoria/client/viewport'

export type MapControls = {
  pan: (by: Point) => void
  zoom: (factor: number, at: Point) => void
  point: (at: Point) => void
}

const step = 80
const zoomStep = 1.5
/** A wheel turned by so many pixels doubles the size. */
const wheelPixels = 300
const clickWithin = 4

/** Drag, wheel and keys of a map. Two fingers arrive as a wheel where the system makes one of them. */
export function listenToMap(canvas: HTMLCanvasElement, { pan, zoom, point }: MapControls): void {
  let dragged = 0
  canvas.addEventListener('pointerdown', ({ pointerId }) => {
    dragged = 0
    canvas.setPointerCapture(pointerId)
  })
  canvas.addEventListener('pointermove', ({ pointerId, movementX: x, movementY: y }) => {
    if (!canvas.hasPointerCapture(pointerId)) return
    dragged += Math.abs(x) + Math.abs(y)
    if (dragged > clickWithin) pan({ x, y })
  })
  canvas.addEventListener('click', ({ offsetX: x, offsetY: y }) => {
    if (dragged <= clickWithin) point({ x, y })
  })
  canvas.addEventListener(
    'wheel',
    (event) => {
      event.preventDefault()
      zoom(2 ** (-event.deltaY / wheelPixels), { x: event.offsetX, y: event.offsetY })
    },
    { passive: false },
  )
  canvas.addEventListener('keydown', (event) => {
    const middle = { x: canvas.clientWidth / 2, y: canvas.clientHeight / 2 }
    const keys: Record<string, () => void> = {
      ArrowLeft: () => pan({ x: step, y: 0 }),
      ArrowRight: () => pan({ x: -step, y: 0 }),
      ArrowUp: () => pan({ x: 0, y: step }),
      ArrowDown: () => pan({ x: 0, y: -step }),
      '+': () => zoom(zoomStep, middle),
      '-': () => zoom(1 / zoomStep, middle),
    }
    const act = keys[event.key]
    if (!act) return
    event.preventDefault()
    act()
  })
}
