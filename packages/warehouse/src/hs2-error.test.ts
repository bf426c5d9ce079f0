import { describe, expect, it } from 'vitest'
import { serverError, transportError, type EndState } from './hs2-error.ts'

const kindOf = (errorMessage: string, sqlState = 'HY000', state: EndState = 'error') =>
  serverError(state, { errorMessage, sqlState }, 'query 1:2 at impala:21050').kind

describe('what a server says becomes one error', () => {
  it.each([
    ['Cancelled', 'cancelled'],
    ['Query 1:2 expired due to execution time limit of 5s000ms', 'timeout'],
    ['Query 1:2 expired due to client inactivity (timeout is 1m)', 'timeout'],
    ['Session expired due to more than 900s of inactivity', 'unavailable'],
    ['Invalid session id: 1:2', 'unavailable'],
    ['Invalid SessionHandle: SessionHandle [00]', 'unavailable'],
    ['Invalid or unknown query handle: 1:2.', 'unavailable'],
    ['Server is being shut down: new queries are rejected', 'unavailable'],
    ['Rejected query from pool default-pool: queue full', 'overloaded'],
    ['Admission for query exceeded timeout 60000ms in pool default-pool', 'overloaded'],
    ['Memory limit exceeded: Could not allocate', 'out_of_memory'],
    [
      'Rejected query from pool default-pool: request memory needed 50.00 GB per node is greater than process mem limit 10.00 GB.',
      'out_of_memory',
    ],
    ['java.lang.OutOfMemoryError: Java heap space', 'out_of_memory'],
    [
      'x.SparkException: Job aborted: Lost task 0.0: x.SparkOutOfMemoryError: [UNABLE_TO_ACQUIRE_MEMORY] Unable to acquire 65536 bytes',
      'out_of_memory',
    ],
    [
      'Total size of serialized results of 9 tasks (1.1 GiB) is bigger than spark.driver.maxResultSize (1024.0 MiB)',
      'out_of_memory',
    ],
    ['Container [pid=1,containerID=c] is running beyond physical memory limits', 'out_of_memory'],
    ["AnalysisException: Could not resolve column/field reference: 'cancelled'", 'statement'],
    ['ParseException: Syntax error in line 1: Memory limit exceeded', 'statement'],
    ["AnalysisException: Could not resolve table reference: 'sensor_history'", 'no_table'],
    ["AnalysisException: '42P01: Could not resolve table reference: x' is no date", 'statement'],
    [
      'x.SparkException: Lost task 1.0: x.SparkFileNotFoundException: File file:/h/1-2.parquet does not exist',
      'unavailable',
    ],
    ['Disk I/O error: Failed to open HDFS file /h/1-2.parquet Error(2): No such file or directory', 'unavailable'],
    ['AnalysisException: Path does not exist: /h: No such file or directory', 'statement'],
    ['anything else', 'statement'],
  ])('%s is %s', (text, kind) => expect(kindOf(text)).toBe(kind))

  it('by its SQLSTATE where the server has some', () => {
    expect(kindOf('Cancelled is no column', '42703')).toBe('statement')
    expect(kindOf('[TABLE_OR_VIEW_NOT_FOUND] The table or view `x` cannot be found.', '42P01')).toBe('no_table')
    expect(kindOf("SemanticException [Error 10001]: Line 1:14 Table not found 'x'", '42S02')).toBe('no_table')
  })

  it('by the state of the operation where that says it', () => {
    expect(kindOf('', 'HY000', 'timed out')).toBe('timeout')
    expect(kindOf('', 'HY000', 'cancelled')).toBe('cancelled')
    expect(kindOf('', 'HY000', 'invalid handle')).toBe('unavailable')
  })

  it('with its first line, the query and the server, but no Java stack', () => {
    const errorMessage =
      'org.apache.hive.service.cli.HiveSQLException: Table not found: x\n\tat org.apache.Thing.run(Thing.java:1)'
    const error = serverError('error', { errorMessage, sqlState: '42P01' }, 'query 1:2 at impala:21050')
    expect(error).toMatchObject({ message: 'Table not found: x (query 1:2 at impala:21050)', sqlState: '42P01' })
  })

  it('with the second line where the first only announces it', () => {
    const errorMessage =
      "x.ParseException: \n[PARSE_SYNTAX_ERROR] Syntax error at or near 'selec'.(line 1)\n\n== SQL =="
    expect(serverError('error', { errorMessage }, 'q').message).toMatch(
      /^x\.ParseException: \[PARSE_SYNTAX_ERROR\] Syntax/,
    )
  })

  it('of bounded length, and never without words', () => {
    expect(serverError('error', { errorMessage: 'x'.repeat(1e6) }, 'q').message.length).toBeLessThan(600)
    expect(serverError('error', {}, 'q').message).toMatch(/without a reason/)
  })
})

describe('what a socket says', () => {
  it('is unavailable, with code and cause', () => {
    const cause = Object.assign(new Error('certificate problem'), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
    expect(transportError(cause, 'impala:21050')).toMatchObject({
      kind: 'unavailable',
      message: 'DEPTH_ZERO_SELF_SIGNED_CERT: certificate problem (impala:21050)',
      cause,
    })
  })

  it.each([undefined, null, '', 'text', new AggregateError([], '')])('is never empty: %s', (cause) =>
    expect(transportError(cause, 'x').message).toMatch(/\S.* \(x\)$/),
  )
})
