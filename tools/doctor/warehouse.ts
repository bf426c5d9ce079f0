import { Hs2Connection } from '@flasktoria/warehouse/hs2-connection'
import { serversOf, type Hs2Server } from '@flasktoria/warehouse/hs2-server'
import { parseHs2Url } from '@flasktoria/warehouse/hs2-url'
import { columnMistakes, describeTable, type Description } from '@flasktoria/warehouse/table-description'
import { tableName, type TableFacts, type TableProfile } from '@flasktoria/warehouse/table-profile'
import { WarehouseError, type Cell, type Warehouse } from '@flasktoria/warehouse/warehouse'
import { createHs2Warehouse } from '@flasktoria/warehouse/warehouse-hs2'
import { messageOf, ok, warning, wrong, type Chart, type Judgement } from './chart.ts'
import { judgeClock } from './clock.ts'
import { reach } from './reach.ts'

type Settings = { url: string; profile: TableProfile }

/** Spark compiles itself at its first statement. */
const statementWithinMs = 30_000
const loginWithinMs = 8_000
const maxRows = 5_000

/** Do the coordinators let us in, and are the tables as the profile says? */
export async function examineWarehouse(chart: Chart, { url, profile }: Settings): Promise<void> {
  const servers = serversOf(parseHs2Url(url))
  const names = [profile.sensor, profile.anomaly].map(({ table }) => `table ${table}`)
  const logins = await Promise.all(servers.map((server) => examineCoordinator(chart, server)))
  if (!logins.includes(true)) return chart.unchecked(['clock', ...names], 'no HiveServer2 lets us in')
  const warehouse = await createHs2Warehouse({ url, openSessionWithinMs: loginWithinMs })
  try {
    await chart.check('clock', (signal) => askForTime(warehouse, signal), { withinMs: statementWithinMs })
    await examineTable(chart, warehouse, profile, profile.sensor)
    await examineTable(chart, warehouse, profile, profile.anomaly)
  } finally {
    await warehouse.close()
  }
}

async function examineCoordinator(chart: Chart, server: Hs2Server): Promise<boolean> {
  const { endpoint } = server
  const place = `${endpoint.host}:${endpoint.port}`
  const isThere = await chart.check(`connection to ${place}`, (signal) =>
    reach(endpoint.host, endpoint.port, 'HS2_URL', signal),
  )
  if (!isThere) {
    chart.unchecked([`login at ${place}`], 'it is not reachable')
    return false
  }
  return chart.check(`login at ${place}`, () => logIn(server), {
    withinMs: 2 * loginWithinMs,
    failed: (error) => judgeLogin(error, server),
  })
}

async function logIn(server: Hs2Server) {
  const connection = await Hs2Connection.connect({
    ...server,
    maxMessageBytes: 1_048_576,
    connectWithinMs: loginWithinMs,
    answerWithinMs: loginWithinMs,
  })
  try {
    await connection.openSession({}, loginWithinMs)
    const way = [server.mechanism, ...(server.http ? ['HTTP'] : []), server.tls ? 'TLS' : 'no TLS'].join(', ')
    return ok(`${await connection.engineName()} lets us in (${way})`)
  } finally {
    await connection.close()
  }
}

function judgeLogin(error: unknown, { mechanism, tls, http }: Hs2Server): Judgement {
  const message = messageOf(error)
  if (/login refused/i.test(message))
    return wrong(message, 'Correct the user and the password in HS2_URL (hive2://user:password@…?auth=PLAIN).')
  if (tls && /certificate|self.signed|altname/i.test(message))
    return wrong(
      message,
      'Let HS2_URL say ca=/path/of/its/authority.pem, and servername=… if its certificate has another.',
    )
  if (tls) return wrong(message, 'Does this port speak TLS at all? If not, take tls=true out of HS2_URL.')
  if (http) return wrong(message, 'Correct httpPath in HS2_URL, or take transportMode=http out of it.')
  const other = mechanism === 'NOSASL' ? 'auth=PLAIN, with a user and a password' : 'auth=NOSASL'
  return wrong(
    `it accepts connections, and does not answer ours as ${mechanism} without TLS (${message})`,
    `A login of the wrong kind is not answered at all: try ${other} in HS2_URL, or tls=true; else the server is frozen.`,
  )
}

async function askForTime(warehouse: Warehouse, signal: AbortSignal): Promise<Judgement> {
  const askedAt = Date.now()
  const [row] = await rowsOf(warehouse, 'SELECT unix_timestamp()', signal)
  const answeredAt = Date.now()
  // Whole seconds, cut: half a second more on average.
  return judgeClock(Number(row?.[0]) * 1_000 + 500, (askedAt + answeredAt) / 2, answeredAt - askedAt + 500)
}

async function rowsOf(warehouse: Warehouse, sql: string, signal: AbortSignal): Promise<Cell[][]> {
  const rows: Cell[][] = []
  for await (const { rowCount, values } of warehouse.query(sql, { signal, deadlineMs: statementWithinMs, maxRows }))
    for (let row = 0; row < rowCount; row++) rows.push(values.map((column) => column[row] ?? null))
  return rows
}

async function examineTable(
  chart: Chart,
  warehouse: Warehouse,
  profile: TableProfile,
  table: TableFacts,
): Promise<void> {
  const check = `table ${table.table}`
  let description: Description | undefined
  const within = { withinMs: statementWithinMs, failed: (error: unknown) => judgeStatement(error, table) }
  const isRight = await chart.check(
    check,
    async (signal) => {
      description = await describeTable(warehouse, profile, table, { signal, deadlineMs: statementWithinMs })
      return judgeColumns(description, table)
    },
    within,
  )
  if (!description) return chart.unchecked([`${check}: scans`, `${check}: rights`], 'the table can not be looked at')
  chart.note(`${check}: scans`, judgeScans(description, table))
  if (!isRight) return chart.unchecked([`${check}: rights`], 'its columns are wrong')
  await chart.check(`${check}: rights`, (signal) => readDays(warehouse, profile, table, signal), within)
}

function judgeColumns(description: Description, table: TableFacts): Judgement {
  const mistakes = columnMistakes(description, table)
  const [first] = mistakes
  if (first === undefined) return ok(`its ${description.columns.size} columns are as TABLE_PROFILE says`)
  const details = mistakes.length > 1 ? mistakes : undefined
  const says = details ? `${mistakes.length} columns are not as TABLE_PROFILE says` : first
  return wrong(
    says,
    'Let TABLE_PROFILE describe the table as it is (own, legacy, or a JSON file), or change the table.',
    details,
  )
}

function judgeScans({ isInHbase, partitions }: Description, { day, rowKey }: TableFacts): Judgement {
  if (isInHbase && rowKey === undefined)
    return wrong(
      'it lies in HBase, and TABLE_PROFILE names no rowKey: every question reads all of it',
      'Name rowKey (its column, and how many shards) in the table profile.',
    )
  if (rowKey !== undefined) return ok(`questions ask for ranges of the row key ${rowKey.column}`)
  if (day !== undefined && !partitions.has(day))
    return warning(
      `it is not partitioned by ${day}: every question reads all of it`,
      `Partition it by ${day}, or take day out of the table profile if there is no such column.`,
    )
  if (day !== undefined) return ok(`questions ask for partitions of ${day}`)
  const others = [...partitions].join(', ')
  return warning(
    `TABLE_PROFILE names neither a day nor a rowKey${others && `, though it is partitioned by ${others}`}: every question reads all of it`,
    'Let the platform partition it by an INT yyyymmdd of the UTC day, and name that column as day in the table profile.',
  )
}

/** The cheapest question that needs the right to read: for one day, or one row. */
async function readDays(
  warehouse: Warehouse,
  profile: TableProfile,
  table: TableFacts,
  signal: AbortSignal,
): Promise<Judgement> {
  const { dialect } = warehouse
  const name = tableName(dialect, profile, table)
  if (table.day === undefined) {
    const rows = await rowsOf(warehouse, `SELECT 1 FROM ${name} LIMIT 1`, signal)
    return rows.length > 0
      ? ok('we may read it')
      : warning(
          'we may read it, and there is nothing in it',
          'Does anybody write history? The recent window is all there is until then.',
        )
  }
  const day = dialect.identifier(table.day)
  const [row] = await rowsOf(warehouse, `SELECT max(${day}), count(DISTINCT ${day}) FROM ${name}`, signal)
  const days = Number(row?.[1] ?? 0)
  return days > 0
    ? ok(`we may read it; ${days} ${days === 1 ? 'day' : 'days'}, the last is ${row![0]}`)
    : warning(
        'we may read it, and no day is registered in it',
        'Does a history writer run, with HISTORY_DIR and HS2_URL? What lies there already: MSCK REPAIR TABLE.',
      )
}

function judgeStatement(error: unknown, { table }: TableFacts): Judgement {
  const message = messageOf(error)
  if (!(error instanceof WarehouseError)) return wrong(message, "The reason is in the HiveServer2's log.")
  if (error.kind === 'no_table')
    return wrong(
      `there is no table ${table}`,
      'Correct the database in HS2_URL or TABLE_PROFILE; the history writer makes its own tables, given HISTORY_DIR and HS2_URL.',
    )
  if (error.kind === 'overloaded' || error.kind === 'timeout')
    return warning(message, 'The engine is busy: look at its admission queues, and ask again.')
  if (/permission|privilege|denied|not authorized/i.test(message))
    return wrong(message, `Grant SELECT on ${table} to the user of HS2_URL.`)
  return wrong(message, "The reason is in the HiveServer2's log.")
}
