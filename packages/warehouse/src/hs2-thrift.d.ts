/** The part of `thrift` that hs2-client.ts uses; the package ships no types. */
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
  export class TBinaryProtocol {
    readonly trans: TBufferedTransport
    constructor(transport: TBufferedTransport)
    readMessageBegin(): { fname: string; mtype: number; rseqid: number }
  }
}
