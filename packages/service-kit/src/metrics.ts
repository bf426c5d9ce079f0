import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'

export type { Counter, Gauge, Histogram, Registry }

/**
 * How often the delay of the event loop is sampled. Each sample wakes the process: at the usual 10 ms, an idle service does
 * nothing else. The figures `nodejs_eventloop_lag_*` hold this interval.
 */
const lagSampleMs = 100

/**
 * The metrics of one service: prom-client with a registry of its own, so that several services can live in one process.
 * Names get the prefix `flasktoria_`; units stand last, as Prometheus wants it.
 */
export function createMetrics(service: string) {
  const registry = new Registry()
  registry.setDefaultLabels({ service })
  return {
    registry,
    counter: <L extends string = never>(name: string, help: string, labelNames: readonly L[] = []) =>
      new Counter<L>({ name: `flasktoria_${name}`, help, labelNames, registers: [registry] }),
    gauge: <L extends string = never>(
      name: string,
      help: string,
      labelNames: readonly L[] = [],
      collect?: (this: Gauge<L>) => void,
    ) =>
      new Gauge<L>({
        name: `flasktoria_${name}`,
        help,
        labelNames,
        registers: [registry],
        ...(collect && { collect }),
      }),
    histogram: <L extends string = never>(
      name: string,
      help: string,
      buckets: number[],
      labelNames: readonly L[] = [],
    ) => new Histogram<L>({ name: `flasktoria_${name}`, help, buckets, labelNames, registers: [registry] }),
    /** Process metrics (CPU, memory, event-loop lag): once per process, so by `main.ts` only. */
    collectProcess: () => collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: lagSampleMs }),
  }
}
export type Metrics = ReturnType<typeof createMetrics>
