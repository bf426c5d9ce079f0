import { z } from 'zod'

const spanShape = {
  from: z.int().meta({ description: 'Epoch milliseconds.' }),
  to: z.int().meta({ description: 'Epoch milliseconds.' }),
}
const spanSchema = z.object(spanShape)

export const lackReasons = {
  before_window: 'it left the recent window, and has not reached the history',
  not_in_history: 'it has not reached the history',
  crowded_out: 'it left the full recent window early, and has not reached the history',
  before_start: 'it came before this server listened',
  log_away: 'the live log could not be heard',
  log_gap: 'the live log had forgotten it before it was read',
  log_restarted: 'the live log began anew',
} as const
export type LackReason = keyof typeof lackReasons

/** From where an answer about the past has what, and where it may lack something. */
export const coverageSchema = z
  .object({
    history: spanSchema.nullable().meta({ description: 'The part of the period that the history is known to hold.' }),
    recent: spanSchema.nullable().meta({ description: 'The part of the period that the live log has told.' }),
    mayLack: z
      .array(
        z.object({
          ...spanShape,
          reason: z.enum(Object.keys(lackReasons) as [LackReason, ...LackReason[]]).meta({
            description: Object.entries(lackReasons)
              .map(([reason, text]) => `\`${reason}\`: ${text}.`)
              .join(' '),
          }),
        }),
      )
      .meta({
        description:
          'What reached the system between these times may be missing; it happened then, or before. Empty: nothing is missing.',
      }),
    cursor: z.string().nullable().meta({
      description:
        'Where the live socket goes on: subscribe with it, and what came since comes. Null: nothing was heard.',
    }),
  })
  .meta({ id: 'Coverage' })
export type Coverage = z.infer<typeof coverageSchema>
