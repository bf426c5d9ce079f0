import { createHs2Warehouse, type Hs2Warehouse } from '@flasktoria/warehouse/warehouse-hs2'

/** Lends out a warehouse whose server may have just started: its first session and statement take seconds. */
export async function withHs2<T>(url: string, work: (warehouse: Hs2Warehouse) => Promise<T>): Promise<T> {
  const warehouse = await createHs2Warehouse({ url, openSessionWithinMs: 60_000, answerWithinMs: 30_000 })
  try {
    return await work(warehouse)
  } finally {
    await warehouse.close()
  }
}

/** Runs statements one after the other. */
export const executeHs2 = (url: string, statements: (warehouse: Hs2Warehouse) => readonly string[]) =>
  withHs2(url, async (warehouse) => {
    for (const statement of statements(warehouse))
      await warehouse.execute(statement, { signal: new AbortController().signal, deadlineMs: 180_000 })
  })

/** Whether a HiveServer2 answers a question. */
export async function answersHs2(url: string): Promise<boolean> {
  try {
    await executeHs2(url, () => ['SELECT 1'])
    return true
  } catch {
    return false
  }
}
