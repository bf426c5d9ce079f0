import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cached } from './cache.ts'
import { findTool } from './packages.ts'
import { run, say, Sentence, tail } from './run.ts'

/** What we run: the broker of today, the oldest that platforms still have, and the Java tools of today. */
const releases = {
  'kafka-4.4.0': ['org.apache.kafka:kafka_2.13:4.4.0', 'org.slf4j:slf4j-simple:1.7.36'],
  'kafka-1.1.1': ['org.apache.kafka:kafka_2.11:1.1.1', 'org.slf4j:slf4j-reload4j:1.7.36'],
  // Its dependencies are those of the broker.
  'kafka-tools-4.4.0': ['org.apache.kafka:kafka-tools:4.4.0'],
} as const
export type KafkaRelease = keyof typeof releases

const dependency = (coordinates: string) => {
  const [groupId, artifactId, version] = coordinates.split(':')
  return `    <dependency><groupId>${groupId}</groupId><artifactId>${artifactId}</artifactId><version>${version}</version></dependency>`
}
const pomOf = (release: KafkaRelease) => `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>flasktoria</groupId><artifactId>kafka</artifactId><version>1</version>
  <dependencies>
${releases[release].map(dependency).join('\n')}
  </dependencies>
</project>
`

/** The hashes of all jars of a release, as `sha256sum` writes them. */
const pinned = (release: KafkaRelease) =>
  readFileSync(new URL(`${release}.sha256`, import.meta.url), 'utf8')
    .trim()
    .split('\n')

const sha256 = (file: string) => createHash('sha256').update(readFileSync(file)).digest('hex')

function verify(release: KafkaRelease, folder: string) {
  const found = readdirSync(folder)
    .toSorted()
    .map((jar) => `${sha256(join(folder, jar))}  ${jar}`)
  const wanted = new Set(pinned(release))
  const strangers = found.filter((line) => !wanted.has(line))
  if (strangers.length > 0 || found.length !== wanted.size)
    throw new Sentence(`the jars are not those of ${release}.sha256: ${strangers.join(', ') || 'some are missing'}`)
}

/** The class path of a release, fetched by Maven on first use. */
export async function kafkaJars(release: KafkaRelease): Promise<string> {
  const folder = await cached(release, async (unfinished) => {
    const maven = await findTool('maven')
    say(`fetching ${release} …`)
    writeFileSync(join(unfinished, 'pom.xml'), pomOf(release))
    const goal = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies'
    const isAlone = releases[release].length === 1
    // -C: a file whose checksum is wrong or missing is an error.
    const options = [
      '-B',
      '-q',
      '-C',
      '-DincludeScope=runtime',
      `-DexcludeTransitive=${isAlone}`,
      '-DoutputDirectory=lib',
    ]
    const fetch = await run([maven, ...options, goal], { cwd: unfinished })
    if (!fetch.ok) throw new Sentence(`Maven could not fetch ${release}: ${tail(fetch)}`)
    verify(release, join(unfinished, 'lib'))
  })
  return join(folder, 'lib', '*')
}
