import type { HistoryStore } from '@flasktoria/warehouse/history-store'
import { openFileStore } from '@flasktoria/warehouse/history-store-file'
import { openS3Store } from '@flasktoria/warehouse/history-store-s3'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'

type Target = { kind: 'folder'; path: string } | { kind: 's3'; bucket: string; prefix: string }

/** Undefined: it is none. */
function parseTarget(text: string): Target | undefined {
  if (!/^[a-z][a-z0-9+.-]+:/i.test(text)) return { kind: 'folder', path: text }
  if (text.startsWith('file:'))
    return URL.canParse(text) && new URL(text).host === '' ? { kind: 'folder', path: fileURLToPath(text) } : undefined
  const [, bucket, prefix] = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/([^?#%]*))?$/.exec(text) ?? []
  if (bucket === undefined) return undefined
  const folders = (prefix ?? '').split('/').filter((folder) => folder !== '')
  return folders.includes('..') || folders.includes('.') ? undefined : { kind: 's3', bucket, prefix: folders.join('/') }
}

/** The options of the history writer, to be spread into a service's schema. */
export const historyOptions = {
  HISTORY_DIR: z
    .string()
    .min(1)
    .refine((text) => parseTarget(text) !== undefined, 'is neither a folder nor a URL file: or s3://bucket/prefix')
    .optional()
    .meta({
      description:
        'Folder of the Parquet history, or `s3://bucket/prefix`; without it no history is written. A bucket is read by an SQL engine, not by the built-in DuckDB.',
    }),
  HISTORY_FLUSH_INTERVAL_MS: z.coerce.number().int().min(100).max(3_600_000).default(30_000).meta({
    description: 'How often the history writer puts what it read on the disk.',
  }),
  HISTORY_FLUSH_ROWS: z.coerce.number().int().min(100).max(1_000_000).default(200_000).meta({
    description:
      'Rows after which the history writer does not wait for the interval; at most two times as many are held.',
  }),
  HISTORY_RETENTION_DAYS: z.coerce.number().int().min(1).max(36_500).optional().meta({
    description:
      'Days of the history that happened longer ago than this are removed, from the SQL engine too if HS2_URL is set; a day in which something was written within the last hour waits. Absent: everything is kept.',
  }),
  HISTORY_LOCATION: z.string().min(1).optional().meta({
    description:
      'The same place as the SQL engine names it, such as `hdfs://…`; by default `file://` or `s3a://` and HISTORY_DIR.',
  }),
  HISTORY_DATABASE: z
    .string()
    .regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/)
    .optional()
    .meta({ description: "The SQL engine's database for the history tables; by default that of HS2_URL." }),
  HISTORY_S3_ENDPOINT: z
    .url({ protocol: /^https?$/ })
    .optional()
    .meta({
      description: 'URL of the S3 server that holds the bucket of HISTORY_DIR; by default that of AWS in its region.',
    }),
  HISTORY_S3_REGION: z
    .string()
    .regex(/^[a-z0-9-]{1,60}$/)
    .default('us-east-1')
    .meta({ description: "The bucket's region; most servers but AWS have one only." }),
  HISTORY_S3_PATH_STYLE: z.stringbool().default(false).meta({
    description:
      'Whether the bucket stands in the path of URLs, as most servers but AWS want it, and not in the host name.',
  }),
  HISTORY_S3_ACCESS_KEY_ID: z
    .string()
    .min(1)
    .optional()
    .meta({ description: 'Access key that may list, read, write and delete there.' }),
  HISTORY_S3_SECRET_ACCESS_KEY: z.string().min(1).optional().meta({ description: 'Secret of that key.' }),
  HISTORY_S3_SESSION_TOKEN: z
    .string()
    .min(1)
    .optional()
    .meta({ description: 'Token of that key, if it is a temporary one.' }),
}

const schema = z.object(historyOptions)
type HistoryConfig = z.output<typeof schema>

/** Mistakes that only several options together show. */
export const checkHistory = (config: HistoryConfig, context: z.RefinementCtx): void => {
  if (config.HISTORY_DIR === undefined || parseTarget(config.HISTORY_DIR)?.kind !== 's3') return
  for (const name of ['HISTORY_S3_ACCESS_KEY_ID', 'HISTORY_S3_SECRET_ACCESS_KEY'] as const)
    if (config[name] === undefined)
      context.addIssue({ code: 'custom', path: [name], message: 'is missing: HISTORY_DIR is a bucket' })
}

/** Undefined: no history is wanted. */
export async function openHistoryStore(
  config: HistoryConfig,
  parts: AsyncDisposableStack,
): Promise<HistoryStore | undefined> {
  const target = config.HISTORY_DIR === undefined ? undefined : parseTarget(config.HISTORY_DIR)
  if (target === undefined) return undefined
  if (target.kind === 'folder') return openFileStore(target.path)
  const store = await openS3Store({
    bucket: target.bucket,
    prefix: target.prefix,
    endpoint: config.HISTORY_S3_ENDPOINT,
    region: config.HISTORY_S3_REGION,
    isPathStyle: config.HISTORY_S3_PATH_STYLE,
    credentials: {
      accessKeyId: config.HISTORY_S3_ACCESS_KEY_ID ?? '',
      secretAccessKey: config.HISTORY_S3_SECRET_ACCESS_KEY ?? '',
      sessionToken: config.HISTORY_S3_SESSION_TOKEN,
    },
  })
  return parts.use(store)
}
