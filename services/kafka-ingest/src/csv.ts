/** A row of a CSV file, or lines that are none. Lines count from 1. */
export type CsvRow = { line: number; cells: string[] } | { line: number; problem: string }

/** A quoted field may hold line breaks; an opening quote that nobody closes must not eat the rest of the file. */
const maxLinesPerRow = 4
const maxRowLength = 64 * 1024

/** Reads CSV as RFC 4180 has it, piece by piece: never more than a few lines in memory. Empty lines are no rows. */
export async function* readCsv(chunks: AsyncIterable<string>): AsyncGenerator<CsvRow> {
  let held: string[] = []
  let line = 0
  for await (const text of readLines(chunks)) {
    line += 1
    held.push(text)
    while (held.length > 0) {
      const first = line - held.length + 1
      const rows = completeRows(held)
      yield* rows.rows.map(({ at, row }) => ({ line: first + at, ...row }))
      held = rows.rest
      if (!isTooLong(held)) break
      yield { line: line - held.length + 1, problem: 'a quote is not closed' }
      held = held.slice(1)
    }
  }
  const first = line - held.length + 1
  for (const [at, text] of held.entries()) yield { line: first + at, ...parseRow(text) }
}

type Parsed = { cells: string[] } | { problem: string }

const isTooLong = (lines: readonly string[]) =>
  lines.length > maxLinesPerRow || lines.reduce((sum, text) => sum + text.length, 0) > maxRowLength

/** The rows that end within these lines, and the lines of the one that does not end yet. */
function completeRows(lines: readonly string[]): { rows: { at: number; row: Parsed }[]; rest: string[] } {
  const rows: { at: number; row: Parsed }[] = []
  let start = 0
  for (let end = 1; end <= lines.length; end++) {
    const text = lines.slice(start, end).join('\n')
    if (hasOpenQuote(text)) continue
    if (text !== '') rows.push({ at: start, row: parseRow(text) })
    start = end
  }
  return { rows, rest: lines.slice(start) }
}

function hasOpenQuote(text: string): boolean {
  let isOpen = false
  for (let at = text.indexOf('"'); at >= 0; at = text.indexOf('"', at + 1)) isOpen = !isOpen
  return isOpen
}

function parseRow(text: string): Parsed {
  if (!text.includes('"')) return { cells: text.split(',') }
  const cells: string[] = []
  const field = /(?:"((?:[^"]|"")*)"|([^",]*))(,|$)/gy
  for (let at = 0; ; at = field.lastIndex) {
    field.lastIndex = at
    const match = field.exec(text)
    if (!match) return { problem: 'a quote stands where none belongs' }
    cells.push(match[1]?.replaceAll('""', '"') ?? match[2] ?? '')
    if (match[3] === '') return { cells }
  }
}

async function* readLines(chunks: AsyncIterable<string>): AsyncGenerator<string> {
  let rest = ''
  for await (const chunk of chunks) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop()!
    for (const text of lines) yield text.endsWith('\r') ? text.slice(0, -1) : text
    if (rest.length > maxRowLength) {
      yield rest
      rest = ''
    }
  }
  if (rest !== '') yield rest
}
