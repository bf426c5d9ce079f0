import { serverMessageSchema, type ServerMessage } from '@flasktoria/contracts/stream'
import { updateSchema } from '@flasktoria/contracts/updates'

export type MessageOf<Type extends ServerMessage['type']> = Extract<ServerMessage, { type: Type }>

/**
 * What a hub said. Hubs may be newer than we: updates of unknown kinds are left out of their frame, and a message of an
 * unknown type is undefined.
 */
export function readServerMessage(text: string): ServerMessage | undefined {
  const value = parse(text)
  const whole = serverMessageSchema.safeParse(value)
  if (whole.success || !hasUpdates(value)) return whole.data
  const updates = value.updates.filter((update) => updateSchema.safeParse(update).success)
  return serverMessageSchema.safeParse({ ...value, updates }).data
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const hasUpdates = (value: unknown): value is { updates: unknown[] } =>
  typeof value === 'object' && value !== null && 'updates' in value && Array.isArray(value.updates)
