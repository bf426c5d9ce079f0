import type { Format } from '@flasktoria/contracts/operation'
import type { ProblemBody } from '@flasktoria/contracts/problems'
import type { RowsEnd } from '@flasktoria/contracts/rest-v1'
import type { ParquetShape } from '@flasktoria/warehouse/parquet-encoder'
import type { Cell, ColumnBatch } from '@flasktoria/warehouse/warehouse'
import { parquetWriter } from './parquet-rows.ts'

export type RowFormat = Exclude<Format, 'geojson'>

/** The columns of an answer in their order, each with its type. */
export type Columns = ParquetShape['columns']
export type Piece = string | Uint8Array

/** Writes an answer of rows piece by piece. A piece may be empty: then there is nothing to send yet. */
export type RowWriter = {
  begin: string
  rows: (batch: ColumnBatch) => Piece | Promise<Piece>
  end: (end: RowsEnd) => Piece | Promise<Piece>
  /** What is still said of an error after the first byte; the connection is cut behind it. */
  failure: (problem: ProblemBody) => string
}

/** `head`: what JSON says before the rows. */
export const createRowWriter = (format: RowFormat, columns: Columns, head: object): RowWriter =>
  writers[format](columns, head)

const writers: Record<RowFormat, (columns: Columns, head: object) => RowWriter> = {
  json: (columns, head) => jsonWriter(Object.keys(columns), head),
  ndjson: (columns) => ndjsonWriter(Object.keys(columns)),
  csv: (columns) => csvWriter(Object.keys(columns)),
  parquet: parquetWriter,
}

function jsonWriter(columns: readonly string[], head: object): RowWriter {
  const rowText = createRowText(columns)
  let separator = ''
  return {
    begin: JSON.stringify({ ...head, rows: [] }).slice(0, -2),
    rows: (batch) => {
      let text = ''
      for (let row = 0; row < batch.rowCount; row++) {
        text += separator + rowText(batch, row)
        separator = ','
      }
      return text
    },
    end: (end) => `],${JSON.stringify(end).slice(1)}`,
    // Without its end it is no JSON.
    failure: () => '',
  }
}

function ndjsonWriter(columns: readonly string[]): RowWriter {
  const rowText = createRowText(columns)
  let rows = 0
  return {
    begin: '',
    rows: (batch) => {
      let text = ''
      for (let row = 0; row < batch.rowCount; row++) text += `${rowText(batch, row)}\n`
      rows += batch.rowCount
      return text
    },
    end: (end) => `${JSON.stringify({ end: { rows, ...end } })}\n`,
    failure: (error) => `${JSON.stringify({ error })}\n`,
  }
}

/** RFC 4180. Nothing stands behind the last row: it would pass for one. */
function csvWriter(columns: readonly string[]): RowWriter {
  return {
    begin: `${columns.map(csvText).join(',')}\r\n`,
    rows: ({ rowCount, values }) => {
      let text = ''
      for (let row = 0; row < rowCount; row++) {
        for (let index = 0; index < values.length; index++) {
          if (index > 0) text += ','
          const cell = values[index]![row]!
          text += typeof cell === 'string' ? csvText(cell) : (cell ?? '')
        }
        text += '\r\n'
      }
      return text
    },
    end: () => '',
    failure: () => '',
  }
}

const csvText = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)

/** A row as a JSON object. A text that comes again in its column, as the ids of sensors do, is escaped once. */
function createRowText(columns: readonly string[]): (batch: ColumnBatch, row: number) => string {
  const keys = columns.map((name, index) => `${index === 0 ? '{' : ','}${JSON.stringify(name)}:`)
  const lastTexts = columns.map(() => ['', '""'] as [text: string, json: string])
  const cellText = (cell: Cell, index: number): string | number | bigint | boolean | null => {
    if (typeof cell === 'string') {
      const last = lastTexts[index]!
      if (last[0] !== cell) lastTexts[index] = [cell, JSON.stringify(cell)]
      return lastTexts[index]![1]
    }
    return typeof cell === 'number' && !Number.isFinite(cell) ? null : cell
  }
  return ({ values }, row) => {
    let text = ''
    for (let index = 0; index < keys.length; index++) text += `${keys[index]}${cellText(values[index]![row]!, index)}`
    return `${text}}`
  }
}
