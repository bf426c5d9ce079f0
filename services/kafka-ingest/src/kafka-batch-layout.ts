/** Where things stand in a batch of records; https://kafka.apache.org/documentation/#recordbatch */
export const place = {
  firstOffset: 0,
  length: 8,
  /** What `length` counts begins here. */
  counted: 12,
  magic: 16,
  crc: 17,
  /** What the checksum is of begins here. */
  attributes: 21,
  lastDelta: 23,
  firstStamp: 27,
  maxStamp: 35,
  producer: 43,
  count: 57,
  records: 61,
} as const

/** Of batches; what is older has another one. */
export const magicByte = 2
