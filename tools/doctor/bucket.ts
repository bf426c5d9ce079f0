import { historyTables } from '@flasktoria/warehouse/history-layout'
import type { HistoryStore } from '@flasktoria/warehouse/history-store'
import { messageOf, ok, wrong, type Chart, type Judgement } from './chart.ts'

/** Beside the tables, where no engine looks. */
const place = { table: { ...historyTables.sensor, directory: '.doctor' }, day: 19_700_101 }
const steps = {
  list: 's3:ListBucket on the bucket',
  write: 's3:PutObject on its objects',
  read: 's3:GetObject on its objects',
  remove: 's3:DeleteObject on its objects',
}

/** Has the key every right that the history writer needs? As it does: list, write, read, remove. */
export async function examineBucket(chart: Chart, store: HistoryStore): Promise<void> {
  let step: keyof typeof steps = 'list'
  await chart.check(
    'bucket',
    async () => {
      await store.listDays(historyTables.sensor)
      step = 'write'
      const name = `doctor-${process.pid}`
      await store.put(place, { stream: name, first: 0, last: 0 }, Buffer.from('written'))
      step = 'read'
      const names = await store.listFiles(place, name)
      await store.withPaths(place, names, async () => {})
      step = 'remove'
      await store.remove(place, names)
      return ok(`we may list, write, read and remove in ${store.name}`)
    },
    { failed: (error) => judge(error, step, store) },
  )
}

const judge = (error: unknown, step: keyof typeof steps, { name }: HistoryStore): Judgement =>
  wrong(
    `${name}: ${step}: ${messageOf(error)}`,
    `Does HISTORY_S3_ENDPOINT answer, is the bucket there, and has the key of HISTORY_S3_ACCESS_KEY_ID ${steps[step]}?`,
  )
