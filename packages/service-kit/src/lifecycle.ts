/**
 * Runs a service until a signal comes, or until it ended by itself: starts it, disposes of it once on SIGINT or SIGTERM, and
 * ends with exit code 1 when it can't start, work or stop. The only place outside `main.ts` files that ends the process.
 */
export async function runUntilSignal(
  start: () => Promise<AsyncDisposable & { ended?: Promise<void> }>,
  stopWithinMs = 15_000,
): Promise<void> {
  const stopped = Promise.withResolvers<void>()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stopped.resolve())
  try {
    await using service = await start()
    await Promise.race([stopped.promise, service.ended ?? stopped.promise])
    setTimeout(() => {
      console.error(`did not stop within ${stopWithinMs} ms`)
      process.exit(1)
    }, stopWithinMs).unref()
  } catch (error) {
    console.error(error instanceof Error && error.name === 'ConfigError' ? error.message : error)
    process.exit(1)
  }
  process.exit(0)
}
