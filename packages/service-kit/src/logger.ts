import { pino, type Logger } from 'pino'

export type { Logger }

export const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const

/** JSON lines on stderr: stdout belongs to programs that print an answer. */
export const createLogger = (service: string, level: (typeof logLevels)[number] = 'info'): Logger =>
  pino({ name: service, level, timestamp: pino.stdTimeFunctions.isoTime }, pino.destination({ fd: 2, sync: true }))
