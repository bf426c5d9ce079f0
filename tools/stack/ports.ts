/**
 * Every port of a stack follows from its origin's. They lie in a block of 16 below the ports that Linux gives to outgoing
 * connections; two stacks whose origins differ by less than 1024 never share one.
 */
export function portsOf(origin: number) {
  const first = 16_384 + (origin % 1_024) * 16
  const free = Array.from({ length: 16 }, (_, index) => first + index).filter((port) => port !== origin)
  const [queryApi, hub1, hub2, ingest1, ingest2, kafka, kafkaController, redis, warehouse] = free
  return {
    queryApi: queryApi!,
    streamHubs: [hub1!, hub2!],
    ingests: [ingest1!, ingest2!],
    kafka: kafka!,
    kafkaController: kafkaController!,
    redis: redis!,
    warehouse: warehouse!,
  }
}
export type StackPorts = ReturnType<typeof portsOf>
