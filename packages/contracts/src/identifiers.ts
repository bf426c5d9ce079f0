import { z } from 'zod'

/**
 * Ids come from records and from URLs. Any text is an id, except what would break a line-based format or a log: control
 * characters, and more than 128 characters.
 */
// oxlint-disable-next-line no-control-regex -- control characters are what is refused
export const identifierPattern = /^[^\u0000-\u001f\u007f]{1,128}$/u

export const vehicleIdSchema = z
  .string()
  .regex(identifierPattern)
  .meta({ description: 'Vehicle id, the `uuid` of its records.' })
export const sensorIdSchema = z
  .string()
  .regex(identifierPattern)
  .meta({ description: 'Sensor id, such as `pid_13_mode_1`.' })

/** The id that `GET /api/map` gives a browser; mutes belong to it. */
export const clientIdPattern = /^[A-Za-z0-9_-]{8,64}$/
export const clientCookie = 'flasktoria_client'
