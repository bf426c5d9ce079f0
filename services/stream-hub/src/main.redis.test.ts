import { createRedisLog } from '@flasktoria/live-log/log-redis'
import { createRedisMutes } from '@flasktoria/live-log/mutes-redis'
import { createLogger } from '@flasktoria/service-kit/logger'
import { afterAll, expect, test } from 'vitest'
import { configSchema } from './config.ts'
import { start } from './main.ts'
import { anomaly, position } from './test-hub.ts'
import { eventually, TestSocket } from './test-socket.ts'

const url = process.env['REDIS_URL']
if (!url) throw new Error('REDIS_URL names no Redis; npm test starts one')
const prefix = `stream-hub-${process.pid}`

await using cleanup = new AsyncDisposableStack()
