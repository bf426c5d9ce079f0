import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { kafkaJars } from './kafka-jars.ts'
import { findTool } from './packages.ts'
import { Sentence } from './run.ts'

export type JavaBatch = {
  brokers: string
  topic: string
  codec: 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'
  /** One record each. */
  lines: readonly string[]
  /** Of each record. */
  headers: Record<string, string>
}

/** Writes records with the Java client that platforms use, in batches as large as they come. */
export async function produceWithJava({ brokers, topic, codec, lines, headers }: JavaBatch): Promise<void> {
  const [java, tools, jars] = [
    await findTool('java'),
    await kafkaJars('kafka-tools-4.4.0'),
    await kafkaJars('kafka-4.4.0'),
  ]
  const jvm = ['-Xmx96m', '-XX:TieredStopAtLevel=1', '-Dorg.slf4j.simpleLogger.defaultLogLevel=error']
  const options = ['--bootstrap-server', brokers, '--topic', topic, '--compression-codec', codec]
  const batches = [
    '--batch-size',
    '65536',
    '--command-property',
    'linger.ms=200',
    '--reader-property',
    'parse.headers=true',
  ]
  const main = ['-cp', `${tools}:${jars}`, 'org.apache.kafka.tools.ConsoleProducer', ...options, ...batches]
  const child = spawn(java, [...jvm, ...main], { stdio: ['pipe', 'ignore', 'pipe'] })
  const said = text(child.stderr)
  const before = Object.entries(headers)
    .map(([name, value]) => `${name}:${value}`)
    .join(',')
  child.stdin.end(lines.map((line) => `${before}\t${line}\n`).join(''))
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Sentence(`the Java producer failed: ${(await said).slice(-500)}`)
}
