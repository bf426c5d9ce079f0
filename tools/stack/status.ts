import { parseHs2Url } from '@flasktoria/warehouse/hs2-url'
import { findService, readState, type StackState } from './state.ts'

/** What `npm run stack -- status` prints. Programs read it: nothing may be renamed or taken away. */
export type StackStatus = {
  origin: string
  kafka: StackState['kafka']
  redis: StackState['redis']
  hs2: { host: string; port: number; auth: string }
  /** pid null: it died a moment ago and is being brought back. */
  services: { name: string; pid: number | null; url: string }[]
}

/** Undefined: the stack does not run. */
export function readStatus(dir: string): StackStatus | undefined {
  const state = readState(dir)
  if (!state) return undefined
  const services = state.services
    .filter(({ url }) => url !== '')
    .map((service) => ({ name: service.name, pid: findService(service)?.pid ?? null, url: service.url }))
  if (services.every(({ pid }) => pid === null)) return undefined
  const { endpoints, mechanism } = parseHs2Url(state.hs2.url)
  return {
    origin: state.origin,
    kafka: state.kafka,
    redis: state.redis,
    hs2: { ...endpoints[0]!, auth: mechanism },
    services,
  }
}
