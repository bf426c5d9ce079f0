/**
 * The version of the live socket's messages. `wireHash` stands for all of them: when a schema changes, wire-version.test.ts
 * fails until both are set anew. A change that an existing client could not read needs a new sub-protocol as well.
 */
export const wireVersion = 2.2
export const wireHash = 'abe66ed745ce20c8'
