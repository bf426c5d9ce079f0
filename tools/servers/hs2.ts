import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cached } from './cache.ts'
import { startDaemon, type DaemonPlan, type Server } from './daemon.ts'
import { answersHs2 } from './hs2-client.ts'
import { findTool } from './packages.ts'
import { run, say, Sentence, tail } from './run.ts'

const version = '3.5.9'
const requirement = `pyspark==${version} --hash=sha256:ea27adc39ddac9413b8951e45aa748cbed6c785971b81386efc41938f6243d93`

/** Cluster managers, machine learning and the streaming state store: not needed for SQL over local files. */
const unneeded = [
  'algebra_*',
  'breeze*',
  'cats-kernel_*',
  'kubernetes-*',
  'mesos-*',
  'rocksdbjni-*',
  'spark-kubernetes_*',
  'spark-mesos_*',
  'spark-mllib_*',
  'spire*',
]

/** The folder with the jars of the Spark Thrift Server, out of the PyPI source package, which is never built or installed. */
export const sparkJars = () =>
  cached(`spark-${version}`, async (folder) => {
    const python = await findTool('pip')
    say(`fetching Spark ${version} (318 MB) …`)
    const download = mkdtempSync(join(tmpdir(), 'flasktoria-spark-'))
    try {
      const list = join(download, 'requirements.txt')
      writeFileSync(list, `${requirement}\n`)
      const options = ['--disable-pip-version-check', '--no-cache-dir', '--no-deps', '--require-hashes']
      const fetch = await run([python, '-m', 'pip', 'download', '-q', ...options, '-d', download, '-r', list])
      if (!fetch.ok) throw new Sentence(`pip could not fetch Spark ${version}: ${tail(fetch)}`)
      const archive = join(download, `pyspark-${version}.tar.gz`)
      const excludes = unneeded.map((pattern) => `--exclude=*/${pattern}`)
      const members = ['--strip-components=3', '--wildcards', ...excludes, 'pyspark-*/deps/jars/*']
      const unpack = await run(['tar', 'xzf', archive, '-C', folder, ...members])
      if (!unpack.ok) throw new Sentence(`tar could not unpack Spark ${version}: ${tail(unpack)}`)
    } finally {
      rmSync(download, { recursive: true, force: true })
    }
  })

const logging = `rootLogger.level = warn
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = %d{yyyy-MM-dd'T'HH:mm:ss.SSS} %p %c{1}: %m%notEmpty{%n%ex{6}}%n
appender.stderr.layout.alwaysWriteExceptions = false
logger.conf.name = org.apache.hadoop.hive.conf.HiveConf
logger.conf.level = error
logger.metastore.name = org.apache.hadoop.hive.metastore
logger.metastore.level = error
`

/** The parts of the JDK that Spark reaches into. */
const opened = [
  'java.lang',
  'java.lang.invoke',
  'java.lang.reflect',
  'java.io',
  'java.net',
  'java.nio',
  'java.util',
  'java.util.concurrent',
  'java.util.concurrent.atomic',
  'jdk.internal.ref',
  'sun.nio.ch',
  'sun.nio.cs',
  'sun.security.action',
  'sun.util.calendar',
].map((name) => `--add-opens=java.base/${name}=ALL-UNNAMED`)

const systemProperties = (dir: string, uiPort: number | undefined) => ({
  'user.timezone': 'UTC',
  'java.io.tmpdir': join(dir, 'tmp'),
  'jdk.reflect.useDirectMethodHandle': 'false',
  'derby.stream.error.file': join(dir, 'log', 'derby.log'),
  'derby.system.home': dir,
  'spark.app.name': 'flasktoria',
  'spark.master': 'local[2]',
  'spark.ui.enabled': String(uiPort !== undefined),
  'spark.ui.port': String(uiPort ?? 0),
  'spark.local.dir': join(dir, 'tmp'),
  'spark.driver.bindAddress': '127.0.0.1',
  'spark.driver.host': '127.0.0.1',
  'spark.hadoop.javax.jdo.option.ConnectionURL': `jdbc:derby:;databaseName=${join(dir, 'metastore')};create=true`,
  // A cancelled statement costs Derby its connection: the next one shall not wait 2 s for another.
  'spark.hadoop.hive.hmshandler.retry.interval': '100ms',
  'spark.sql.session.timeZone': 'UTC',
  'spark.sql.shuffle.partitions': '2',
  'spark.sql.warehouse.dir': `file://${join(dir, 'warehouse')}`,
  // Other programs add files and partitions: what was listed once must not be believed for ever.
  'spark.sql.hive.manageFilesourcePartitions': 'true',
  'spark.sql.hive.filesourcePartitionFileCacheSize': '0',
  'spark.sql.metadataCacheTTLSeconds': '5',
  'spark.sql.sources.parallelPartitionDiscovery.parallelism': '2',
})

export type Hs2Place = {
  dir: string
  port: number
  heapMb?: number
  /** Where Spark itself says what runs in it; absent: nowhere. */
  uiPort?: number
}

/** A HiveServer2 on 127.0.0.1: the Spark Thrift Server, without authentication, its metastore in the folder. */
export async function planHs2({ dir, port, heapMb = 1_024, uiPort }: Hs2Place): Promise<DaemonPlan> {
  const [java, jars] = [await findTool('java'), await sparkJars()]
  for (const folder of ['conf', 'log', 'tmp', 'warehouse']) mkdirSync(join(dir, folder), { recursive: true })
  writeFileSync(join(dir, 'conf', 'log4j2.properties'), logging)
  const properties = Object.entries(systemProperties(dir, uiPort)).map(([key, value]) => `-D${key}=${value}`)
  const jvm = [`-Xmx${heapMb}m`, '-Xss4m', '-XX:+ExitOnOutOfMemoryError', '-XX:+IgnoreUnrecognizedVMOptions', ...opened]
  const server = {
    'hive.server2.authentication': 'NOSASL',
    'hive.server2.thrift.bind.host': '127.0.0.1',
    'hive.server2.thrift.port': String(port),
  }
  const hiveconf = Object.entries(server).flatMap(([key, value]) => ['--hiveconf', `${key}=${value}`])
  const main = 'org.apache.spark.sql.hive.thriftserver.HiveThriftServer2'
  const classpath = `${join(dir, 'conf')}:${join(jars, '*')}`
  return {
    name: 'hs2',
    dir,
    cwd: dir,
    port,
    env: { SPARK_LOCAL_IP: '127.0.0.1' },
    command: [java, ...jvm, ...properties, '-cp', classpath, main, ...hiveconf],
  }
}

export async function startHs2(place: Hs2Place): Promise<Server> {
  const url = `hive2://127.0.0.1:${place.port}/?auth=NOSASL`
  const daemon = await startDaemon(await planHs2(place), () => answersHs2(url), 180_000)
  return { ...daemon, url }
}
