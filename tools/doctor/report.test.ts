import { expect, test } from 'vitest'
import { Chart, ok, warning, wrong } from './chart.ts'
import { judgeRoom } from './disk.ts'
import { exitCodes, linesOf, reportOf, reportSchema } from './report.ts'

test('the worst finding is the verdict; what was not checked is none', async () => {
  const chart = new Chart('disk')
  chart.note('one', ok('fine'))
  chart.unchecked(['two'], 'nothing to look at')
  expect(reportOf(chart.findings, 0).verdict).toBe('ok')
  chart.note('three', warning('tight', 'make room'))
  expect(exitCodes[reportOf(chart.findings, 0).verdict]).toBe(1)
  chart.note('four', wrong('full', 'make room', ['a', 'b']))
  const report = reportOf(chart.findings, 0)
  expect(exitCodes[report.verdict]).toBe(2)
  expect(reportSchema.parse(report)).toEqual(report)
  expect([...linesOf(report)]).toEqual([
    'disk',
    '  ok         one: fine',
    '  unchecked  two: nothing to look at',
    '  warning    three: tight',
    '             → make room',
    '  wrong      four: full',
    '             → make room',
    '               a',
    '               b',
    '',
    'wrong: 1 ok, 1 unchecked, 1 warning, 1 wrong',
  ])
})

test('a check that never ends has an end, and findings stand in the order in which their checks began', async () => {
  const chart = new Chart('redis')
  const never = chart.check('slow', () => new Promise(() => {}), { withinMs: 10 })
  const fails = chart.check('quick', () => Promise.reject(new Error('no luck')))
  expect(await Promise.all([never, fails])).toEqual([false, false])
  expect(chart.findings).toMatchObject([
    { check: 'slow', status: 'wrong', says: 'no answer within 0.01 s' },
    { check: 'quick', status: 'wrong', says: 'no luck' },
  ])
})

test('the room on a disk is judged by what is left for us', () => {
  const disk = (freeGib: number, ffree = 900) => ({
    bavail: freeGib * 2 ** 18,
    bsize: 4_096,
    blocks: 2 ** 26,
    files: 1_000,
    ffree,
  })
  expect(judgeRoom(disk(100))).toEqual({ status: 'ok', says: '100.0 of 256 GiB are free' })
  expect(judgeRoom(disk(5)).status).toBe('warning')
  expect(judgeRoom(disk(0.5)).status).toBe('wrong')
  expect(judgeRoom(disk(100, 3))).toMatchObject({
    status: 'warning',
    says: expect.stringContaining('3 of 1000 inodes'),
  })
})
