import { z } from 'zod'

/** The options of the history writer, to be spread into a service's schema. */
export const historyOptions = {
  HISTORY_DIR: z.string().min(1).optional().meta({
    description: 'Folder of the Parquet history; without it no history is written.',
  }),
  HISTORY_FLUSH_INTERVAL_MS: z.coerce.number().int().min(100).max(3_600_000).default(30_000).meta({
    description: 'How often the history writer puts what it read on the disk.',
  }),
  HISTORY_FLUSH_ROWS: z.coerce.number().int().min(100).max(500_000).default(50_000).meta({
    description: 'Rows after which the history writer does not wait for the interval.',
  }),
  HISTORY_LOCATION: z.string().min(1).optional().meta({
    description:
      'The same folder as the SQL engine names it, such as `hdfs://…`; by default `file://` and HISTORY_DIR.',
  }),
  HISTORY_DATABASE: z
    .string()
    .regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/)
    .optional()
    .meta({ description: "The SQL engine's database for the history tables; by default that of HS2_URL." }),
}
