import type { MuteRule, Mutes } from '@flasktoria/live-log/mutes'
import { createMemoryMutes } from '@flasktoria/live-log/mutes-memory'
import { createLogger } from '@flasktoria/service-kit/logger'
import { expect, test } from 'vitest'
import { ClientMutes } from './client-mutes.ts'
import { eventually } from './test-socket.ts'

const logger = createLogger('stream-hub', 'silent')
const stop = { kind: 'position', vehicle: 'v', sensor: '', isMuted: true } as const

async function follow(mutes: Mutes) {
  let failures = 0
  const clientMutes = new ClientMutes({ mutes, logger, retryMs: 10, onFailure: () => failures++ })
  await clientMutes.start()
  const heard = (client: string) => {
    const rules: MuteRule[][] = []
    const session = clientMutes.enter(client, (some) => rules.push([...some]))
    return { rules, leave: () => session.leave() }
  }
  return { clientMutes, heard, failures: () => failures }
}

test('every session of a client hears its mutes, at first and when they change', async () => {
  const mutes = createMemoryMutes()
  await mutes.change('one', [stop])
  const { clientMutes, heard } = await follow(mutes)
  await using _service = clientMutes
  const [first, stranger] = [heard('one'), heard('two')]
  await eventually(() => first.rules.length === 1 && stranger.rules.length === 1)
  const second = heard('one')
  expect(second.rules).toEqual([[stop]])
  await mutes.change('one', [{ ...stop, isMuted: false }])
  await eventually(() => first.rules.length === 2 && second.rules.length === 2)
  expect(first.rules[1]).toEqual([])
  expect(stranger.rules).toEqual([[]])
  first.leave()
  second.leave()
  await mutes.change('one', [stop])
  expect(first.rules).toHaveLength(2)
})

test('a change during a read is read again: the last word holds', async () => {
  const mutes = createMemoryMutes()
  const { clientMutes, heard } = await follow({
    ...mutes,
    async read(client) {
      const rules = await mutes.read(client)
      if (rules.length < 2) await mutes.change(client, [{ ...stop, vehicle: `v${rules.length}` }])
      return rules
    },
  })
  await using _service = clientMutes
  const one = heard('one')
  await eventually(() => one.rules.length === 1)
  expect(one.rules[0]).toHaveLength(2)
})

test('mutes that cannot be read hold nobody up, and are read again', async () => {
  const mutes = createMemoryMutes()
  await mutes.change('one', [stop])
  let isAway = true
  const unless = <T>(work: () => Promise<T>) => (isAway ? Promise.reject(new Error('away')) : work())
  const { clientMutes, heard, failures } = await follow({
    ...mutes,
    read: (client) => unless(() => mutes.read(client)),
    watch: (onChange) => unless(() => mutes.watch(onChange)),
  })
  await using _service = clientMutes
  const one = heard('one')
  await eventually(() => one.rules.length > 0)
  expect(one.rules[0]).toEqual([])
  isAway = false
  await eventually(() => one.rules.at(-1)!.length === 1)
  expect(failures()).toBeGreaterThan(1)
  // The watch was tried again too.
  await eventually(async () => {
    await mutes.change('one', [{ ...stop, vehicle: 'w' }])
    return one.rules.at(-1)!.length === 2
  })
})
