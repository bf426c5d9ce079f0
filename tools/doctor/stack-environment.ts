import { Sentence } from '../servers/run.ts'
import { readState } from '../stack/state.ts'
import type { Environment } from './examine.ts'

/** The environment of what `npm run stack -- up` started: that of all its services together. @throws Sentence when nothing runs */
export function stackEnvironment(dir: string): Environment {
  const state = readState(dir)
  if (!state) throw new Sentence(`no stack runs in ${dir}`)
  const ours = new Set(['kafka-ingest', 'query-api', 'stream-hub'])
  const environments = state.services.filter(({ name }) => ours.has(name)).map(({ plan }) => plan.env ?? {})
  const nginx: readonly string[] = state.services.find(({ name }) => name === 'nginx')?.plan.command ?? []
  return {
    ...Object.assign({}, ...environments),
    ORIGIN_URL: state.origin,
    NGINX_CONF: nginx[nginx.indexOf('-c') + 1],
  }
}
