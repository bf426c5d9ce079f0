import { z } from 'zod'

/** What the doctor reads beside the options of the services. */
export const optionsSchema = z.object({
  ORIGIN_URL: z
    .url({ protocol: /^https?$/ })
    .transform((url) => url.replace(/\/+$/, ''))
    .optional()
    .meta({
      description: 'The origin that browsers use, such as `https://fleet.example.com`; absent: it is not asked.',
    }),
  NGINX_CONF: z.string().min(1).optional().meta({
    description: 'The configuration that nginx is started with; absent: its traps are not looked for.',
  }),
})
export const optionNames = Object.keys(optionsSchema.shape)
