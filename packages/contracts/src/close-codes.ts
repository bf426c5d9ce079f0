/** WebSocket close codes. 4000–4499: come back with back-off. 4500–4999: do not come back with the same request. */
export const closeCodes = {
  draining: 4000,
  tooSlow: 4001,
  overloaded: 4002,
  protocolError: 4500,
  forbidden: 4501,
  abuse: 4502,
} as const
export type CloseReason = keyof typeof closeCodes

export const mayReconnect = (code: number): boolean => code < 4500 || code > 4999
