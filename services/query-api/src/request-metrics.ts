import type { Metrics } from '@flasktoria/service-kit/metrics'
import type { RecentWindow } from './recent-window.ts'

export type RequestMetrics = ReturnType<typeof createRequestMetrics>

export function createRequestMetrics(metrics: Metrics, window: RecentWindow) {
  metrics.gauge('window_readings', 'Readings in the recent window', [], function collect() {
    this.set(window.size.readings)
  })
  metrics.gauge('window_readings_crowded_out', 'Readings that left the window early: it was full', [], function () {
    this.set(window.crowdedOut)
  })
  metrics.gauge('window_unreadable', 'Entries of the live log that were not as the contract has them', [], function () {
    this.set(window.unreadable)
  })
  metrics.gauge('map_vehicles', 'Vehicles on the map', [], function () {
    this.set(window.positions().length)
  })
  const requests = metrics.counter('http_requests_total', 'Requests by operation and status', ['operation', 'status'])
  const seconds = metrics.histogram(
    'http_request_seconds',
    'From the request to its answer',
    [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 30],
    ['operation'],
  )
  // To find a child by its labels costs more than to count.
  const requestsOf = remembering((labels: string) => {
    const [operation = '', status = ''] = labels.split(' ')
    return requests.labels({ operation, status })
  })
  const secondsOf = remembering((operation: string) => seconds.labels({ operation }))
  return {
    count(operation: string, status: number, took: number) {
      requestsOf(`${operation} ${status}`).inc()
      secondsOf(operation).observe(took)
    },
    historyRows: metrics.counter('history_rows_total', 'Rows read from the warehouse', ['question']),
    warehouseFailures: metrics.counter('warehouse_failures_total', 'Requests that the warehouse failed, by kind', [
      'kind',
    ]),
  }
}

function remembering<Value>(make: (key: string) => Value): (key: string) => Value {
  const made = new Map<string, Value>()
  return (key) => {
    const value = made.get(key) ?? make(key)
    made.set(key, value)
    return value
  }
}
