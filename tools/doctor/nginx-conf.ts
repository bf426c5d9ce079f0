import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

/** One directive of an nginx configuration: its words, and what stands in its braces. */
export type Directive = { name: string; words: readonly string[]; inner: readonly Directive[] }

const token =
  /\s+|#[^\n]*|"((?:\\.|[^"\\])*)"|'((?:\\.|[^'\\])*)'|([{};])|((?:\\.|\$\{|[^\s;{}"'])(?:\\.|\$\{[^}]*\}|[^\s;{}])*)/gy

/** The configuration with everything that it includes. Reads, and knows no more than nginx' grammar. @throws when a file is missing */
export const readNginxConf = (path: string): Directive[] => parseNginxConf(readFileSync(path, 'utf8'), dirname(path))

/** `folder`: where relative includes lie; patterns in them are not followed. */
export function parseNginxConf(text: string, folder?: string): Directive[] {
  const top: Directive[] = []
  const stack: Directive[][] = [top]
  let words: string[] = []
  const finish = (inner: Directive[]) => {
    const [name, ...rest] = words
    words = []
    if (name === undefined) return
    if (name === 'include' && folder !== undefined && rest[0] !== undefined && !/[*?[]/.test(rest[0]))
      stack.at(-1)!.push(...readNginxConf(resolve(folder, rest[0])))
    else stack.at(-1)!.push({ name, words: rest, inner })
  }
  for (const [, double, single, mark, word] of text.matchAll(token)) {
    if (mark === ';') finish([])
    else if (mark === '{') {
      const inner: Directive[] = []
      finish(inner)
      stack.push(inner)
    } else if (mark === '}' && stack.length > 1) stack.pop()
    else if (mark === undefined) {
      const spoken = double ?? single ?? word
      if (spoken !== undefined) words.push(spoken)
    }
  }
  return top
}

/** All directives of that name, at any depth. */
export const findAll = (directives: readonly Directive[], name: string): Directive[] =>
  directives.flatMap((directive) => [
    ...(directive.name === name ? [directive] : []),
    ...findAll(directive.inner, name),
  ])

export type Place = { block: Directive; /** From the outermost block to the innermost. */ path: readonly Directive[] }

/** The blocks of that name, with those around them. */
export function* blocksOf(
  directives: readonly Directive[],
  name: string,
  path: readonly Directive[] = [],
): Generator<Place> {
  for (const block of directives) {
    if (block.name === name) yield { block, path: [...path, block] }
    yield* blocksOf(block.inner, name, [...path, block])
  }
}

/** What holds in a block: its own directive, else that of the nearest block around it. */
export const settingIn = ({ path }: Place, name: string): Directive | undefined =>
  path.toReversed().flatMap(({ inner }) => inner.filter((directive) => directive.name === name))[0]

const unitsMs: Record<string, number> = { '': 1_000, ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** `75s`, `1m30s`; undefined when it is no time. */
export function milliseconds(text: string | undefined): number | undefined {
  if (text === undefined || !/^(?:\d+(?:ms|[smhd])?)+$/.test(text)) return undefined
  let sum = 0
  for (const [, amount, unit] of text.matchAll(/(\d+)(ms|[smhd])?/g)) sum += Number(amount) * unitsMs[unit ?? '']!
  return sum
}
