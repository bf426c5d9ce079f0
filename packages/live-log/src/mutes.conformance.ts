import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { until } from './log.conformance.ts'
import { maxRulesPerClient, MuteRules, type MuteRule, type Mutes } from './mutes.ts'

export type MutesPair = { first: Mutes; second: Mutes }

const mute = (vehicle: string, sensor = '', isMuted = true): MuteRule => ({
  kind: 'sensordata',
  vehicle,
  sensor,
  isMuted,
})

/** What every store of mutes promises. */
export function mutesConformance(open: () => Promise<MutesPair>): void {
  describe('mutes', () => {
    let mutes: MutesPair
    beforeEach(async () => {
      mutes = await open()
    })
    afterEach(async () => {
      await mutes.first.close()
      if (mutes.second !== mutes.first) await mutes.second.close()
    })

    test('a client that never muted has no rules', async () => {
      expect(await mutes.first.read('client-1')).toEqual([])
    })

    test('what one process changes another one reads', async () => {
      expect(await mutes.first.change('client-1', [mute('v1'), mute('v2', 's')])).toEqual([true, true])
      expect(await mutes.second.read('client-1')).toEqual([mute('v1'), mute('v2', 's')])
    })

    test('the mutes of one client are not those of another', async () => {
      await mutes.first.change('client-1', [mute('v1')])
      expect(await mutes.first.read('client-2')).toEqual([])
    })

    test('stop twice and start of what was never stopped succeed', async () => {
      expect(await mutes.first.change('client-1', [mute('v1'), mute('v1'), mute('v2', '', false)])).toEqual([
        true,
        true,
        true,
      ])
      expect(await mutes.first.read('client-1')).toEqual([mute('v1')])
    })

    test('what is unmuted is gone', async () => {
      await mutes.first.change('client-1', [mute('v1')])
      await mutes.second.change('client-1', [mute('v1', '', false)])
      expect(await mutes.first.read('client-1')).toEqual([])
    })

    test('changes of several processes at once are all kept', async () => {
      const changes = Array.from({ length: 10 }, (_, index) =>
        (index % 2 === 0 ? mutes.first : mutes.second).change('client-1', [mute(`v${index}`)]),
      )
      expect((await Promise.all(changes)).flat()).toEqual(Array.from({ length: 10 }, () => true))
      expect(await mutes.first.read('client-1')).toHaveLength(10)
    })

    test('the rules of a client are bounded, and it is told', async () => {
      const changes = Array.from({ length: maxRulesPerClient + 1 }, (_, index) => mute(`v${index}`))
      const taken = await mutes.first.change('client-1', changes)
      expect(taken.indexOf(false)).toBe(maxRulesPerClient)
      expect(await mutes.first.read('client-1')).toHaveLength(maxRulesPerClient)
    })

    test('watchers hear whose mutes changed, wherever, until they stop', async () => {
      const heard: (string | undefined)[] = []
      const watch = await mutes.second.watch((client) => heard.push(client))
      await mutes.first.change('client-1', [mute('v1')])
      await until(() => heard.includes('client-1'))
      await watch.close()
      const count = heard.length
      await mutes.first.change('client-1', [mute('v2')])
      expect(heard).toHaveLength(count)
    })
  })
}

export const rulesOf = (...changes: MuteRule[]): MuteRules => {
  const rules = new MuteRules()
  for (const change of changes) rules.apply(change)
  return rules
}
