import { freePort } from '../../servers/daemon.ts'
import { queryApiFlags } from '../../stack/services.ts'
import { alternate, cpuSeconds, printResult, rssMb, type Figures } from '../measure.ts'
import { answersOk, linesOf, measuredCore, pin, runPinned, script, until } from '../processes.ts'
import type { Place, Question } from './engine.ts'

const pathOf = ({ vehicle, sensors, from, to }: Question) =>
  `/api/sensordata/${vehicle}?sensor_ids=${sensors.join()}&start_ts=${from}&end_ts=${to}`

/** Asks twice; the second answer is measured, in the server's process. */
async function measure(pid: number, origin: string, question: Question): Promise<Figures> {
  const ask = async () => {
    const response = await fetch(`${origin}${pathOf(question)}`)
    if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`)
    return response.text()
  }
  await ask()
  const [cpuBefore, startedAt] = [cpuSeconds(pid), performance.now()]
  const text = await ask()
  const figures = {
    ms: performance.now() - startedAt,
    'CPU ms': (cpuSeconds(pid) - cpuBefore) * 1000,
    'answer MB': text.length / 1e6,
    'RSS MB': rssMb(pid),
  }
  const readings = Object.values(JSON.parse(text) as Record<string, unknown[]>).flat().length
  if (readings !== question.rows) throw new Error(`${readings} of ${question.rows} readings came`)
  return figures
}

async function ours({ url }: Place, question: Question): Promise<Figures> {
  const port = await freePort()
  const environment = {
    PORT: String(port),
    WAREHOUSE: 'hs2',
    HS2_URL: url,
    TABLE_PROFILE: 'legacy',
    LOG_LEVEL: 'error',
  }
  const service = runPinned(measuredCore, [...queryApiFlags, 'services/query-api/src/main.ts'], environment)
  try {
    const origin = `http://127.0.0.1:${port}`
    await until(() => answersOk(`${origin}/livez`), 'query-api', service)
    return await measure(service.pid!, origin, question)
  } finally {
    service.kill()
  }
}

async function oldWay({ host, port, python }: Place, question: Question): Promise<Figures> {
  const service = pin(measuredCore, [python, script('history/hs2_peers.py'), 'serve', host, String(port)])
  try {
    const { value } = await linesOf(service).next()
    return await measure(service.pid!, `http://127.0.0.1:${value}`, question)
  } finally {
    service.kill()
  }
}

/** Complete answers, as a front end asks for them: readings of one vehicle, as JSON over HTTP. */
export async function benchAnswers(place: Place, question: Question, rounds: number): Promise<void> {
  const rows = await alternate(rounds, {
    'query-api': () => ours(place, question),
    'impyla, dicts, json.dumps': () => oldWay(place, question),
  })
  printResult({
    title: 'history: complete answers over HTTP',
    conditions: { readings: question.rows, sensors: question.sensors.length, rounds },
    rows,
    ratios: { 'CPU, ours / the old way': rows['query-api']['CPU ms']! / rows['impyla, dicts, json.dumps']['CPU ms']! },
  })
}
