import { expect, test } from 'vitest'
import { z } from 'zod'
import { configTable } from './config-table.ts'

const common = z.object({
  PORT: z.coerce.number().default(80).meta({ description: 'Where to listen.' }),
  SINCE: z
    .string()
    .default('2000')
    .transform((text) => Number(text))
    .meta({ description: 'From when on.' }),
  SECRET: z.string().optional().meta({ description: 'A secret.' }),
})
const stores = z.discriminatedUnion('STORE', [
  z.object({ STORE: z.literal('none') }),
  z.object({ STORE: z.literal('disk'), FOLDER: z.string().meta({ description: 'Where.' }) }),
  z.object({ STORE: z.literal('tape'), FOLDER: z.string().meta({ description: 'Where.' }) }),
])

test('every option stands once, with its default, its sentence and when it counts', () => {
  const schema = z.preprocess((value) => value, z.intersection(common, stores))
  expect(configTable(schema).split('\n').slice(2)).toEqual([
    '| `PORT` | `80` | Where to listen. |',
    '| `SINCE` | `2000` | From when on. |',
    '| `SECRET` |  | A secret. |',
    '| `STORE` |  | One of `none`, `disk`, `tape`. |',
    '| `FOLDER` |  | Where. *With `STORE=disk` or `STORE=tape`.* |',
  ])
})
