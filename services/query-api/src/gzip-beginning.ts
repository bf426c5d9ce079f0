import { promisify } from 'node:util'
import { constants, crc32, deflateRaw } from 'node:zlib'

const header = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255])
const deflate = promisify(deflateRaw)

/** Makes one gzip of a beginning that was compressed before, and an end of at most 65,535 bytes. */
export type GzipBeginning = (end: Uint8Array) => Buffer<ArrayBuffer>

/** Compresses what many texts begin with, once: RFC 1952, one member, the end in a stored block. */
export async function gzipBeginning(beginning: Uint8Array, level: number): Promise<GzipBeginning> {
  // Flushed, not finished: it ends with a whole byte, and another block may follow.
  const deflated = await deflate(beginning, { level, finishFlush: constants.Z_SYNC_FLUSH })
  const checksum = crc32(beginning)
  return (end) => {
    const lastStoredBlock = Buffer.alloc(5)
    lastStoredBlock.writeUInt8(1, 0)
    lastStoredBlock.writeUInt16LE(end.length, 1)
    lastStoredBlock.writeUInt16LE(0xffff - end.length, 3)
    const trailer = Buffer.alloc(8)
    trailer.writeUInt32LE(crc32(end, checksum), 0)
    trailer.writeUInt32LE((beginning.length + end.length) % 2 ** 32, 4)
    return Buffer.concat([header, deflated, lastStoredBlock, end, trailer])
  }
}
