/** The part of `thrift` that hs2-connection.ts extends; the package ships no types. */
declare module 'thrift' {
  export class TBufferedTransport {
    protected inBuf: Buffer
    protected readCursor: number
    protected writeCursor: number
    constructor(buffer?: Buffer, onFlush?: (bytes: Buffer, seqId: number) => void)
  }
  export class TFramedTransport {
    protected inBuf: Buffer
    constructor(buffer?: Buffer, onFlush?: (bytes: Buffer, seqId: number) => void)
  }
}
