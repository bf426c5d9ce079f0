import type { HistoryFile, HistoryTable } from './history-layout.ts'

/** Asked just before a file appears; no: it is not wanted any more. */
export type IsWanted = () => Promise<boolean>
export type Place = { table: HistoryTable; day: number }

/** Where the files of the history lie, in the layout of `history-layout.ts`. */
export interface HistoryStore {
  /** As logs name it. */
  readonly name: string
  /** As SQL engines name it, unless told otherwise. */
  readonly location: string
  /** A folder of this machine for files in the making; what a killed process left in it goes. */
  readonly workshop: string
  /** Makes sure that an engine that may only read finds what its table shall lie in. */
  prepare(table: HistoryTable): Promise<void>
  /** Ascending. A missing folder is an empty table. */
  listDays(table: HistoryTable): Promise<number[]>
  /** The Parquet files of a day in order of their names, by whomever they were written, leftovers of merges too. */
  listFiles(place: Place, stream?: string): Promise<string[]>
  /** The file appears whole or not at all, and is there to stay when this resolves. False: it was not wanted. */
  put(place: Place, file: HistoryFile, content: Buffer, isWanted?: IsWanted): Promise<boolean>
  /** Calls `use` with paths on this machine, where the files lie as long as it runs. */
  withPaths<T>(place: Place, names: readonly string[], use: (paths: string[]) => Promise<T>): Promise<T>
  /** Missing ones are no error. */
  remove(place: Place, names: readonly string[]): Promise<void>
  /** Removes a day with everything in it. */
  removeDay(place: Place): Promise<void>
}
