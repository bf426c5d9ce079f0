import { compressFrame, decompressFrame } from 'lz4-napi'
import { promisify } from 'node:util'
import { zstdCompress, zstdDecompress } from 'node:zlib'
import { compress as compressSnappy, uncompress as uncompressSnappy } from 'snappy'

export type Codec = {
  compress(encoder: { buffer: Buffer }): Promise<Buffer>
  decompress(buffer: Buffer): Promise<Buffer>
}

const compressZstd = promisify(zstdCompress)
const decompressZstd = promisify(zstdDecompress)

export const zstdCodec: Codec = {
  compress: ({ buffer }) => compressZstd(buffer),
  decompress: (buffer) => decompressZstd(buffer),
}

export const lz4Codec: Codec = {
  compress: ({ buffer }) => compressFrame(buffer),
  decompress: (buffer) => decompressFrame(buffer),
}

/** Java producers frame Snappy as snappy-java does: this header, then blocks with their length before them. */
const xerialHeader = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1])
const xerialMagic = xerialHeader.subarray(0, 8)

export const snappyCodec: Codec = {
  compress: async ({ buffer }) => {
    const block = await compressSnappy(buffer)
    const length = Buffer.alloc(4)
    length.writeInt32BE(block.length)
    return Buffer.concat([xerialHeader, length, block])
  },
  decompress: async (buffer) => {
    if (!buffer.subarray(0, xerialMagic.length).equals(xerialMagic)) return uncompress(buffer)
    const blocks: Buffer[] = []
    for (let at = xerialHeader.length; at < buffer.length;) {
      const end = at + 4 + buffer.readInt32BE(at)
      // oxlint-disable-next-line no-await-in-loop -- a batch has one block or two
      blocks.push(await uncompress(buffer.subarray(at + 4, end)))
      at = end
    }
    return Buffer.concat(blocks)
  },
}

const uncompress = async (block: Buffer): Promise<Buffer> =>
  Buffer.from(await uncompressSnappy(block, { asBuffer: true }))
