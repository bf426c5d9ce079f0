import { readFileSync } from 'node:fs'
import { z } from 'zod'

/** Takes what `parse` makes of a text; its error is the mistake. */
export const parsed =
  <T>(parse: (text: string) => T) =>
  (text: string, context: z.RefinementCtx): T => {
    try {
      return parse(text)
    } catch (error) {
      const reason =
        error instanceof z.ZodError ? z.prettifyError(error) : error instanceof Error ? error.message : String(error)
      context.addIssue({ code: 'custom', message: reason })
      return z.NEVER
    }
  }

/** The content of a JSON file that a schema checks; what it holds without one. */
export const jsonFile = <Schema extends z.ZodType>(schema: Schema, fallback: z.output<Schema>, description: string) =>
  z
    .string()
    .transform(parsed((path): z.output<Schema> => schema.parse(JSON.parse(readFileSync(path, 'utf8')))))
    .default(fallback as never)
    .meta({ description })
