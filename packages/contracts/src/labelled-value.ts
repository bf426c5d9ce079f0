import { positionSensor } from './records.ts'

/** What a record's labelled text says. `text` is what follows the label, as it came. */
export type LabelledValue =
  | { form: 'number'; text: string; value: number }
  | { form: 'position'; text: string; lat: number; long: number }
  | { form: 'words'; text: string }

/** Why a labelled text says nothing. */
export type LabelledValueFault = 'no_label' | 'not_a_position' | 'position_out_of_range'

const decimal = String.raw`[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?`
const numberPattern = new RegExp(`^\\s*${decimal}\\s*$`)
const positionPattern = new RegExp(`^\\s*\\[\\s*(${decimal})\\s*,\\s*(${decimal})\\s*\\]\\s*$`)

/** What follows the first `": "`; the label has no meaning. Undefined without one. */
export function textAfterLabel(labelled: string): string | undefined {
  const colon = labelled.indexOf(': ')
  return colon === -1 ? undefined : labelled.slice(colon + 2)
}

/** A decimal number, and nothing else: not hexadecimal, not `Infinity`, not empty. Undefined for anything else. */
export function decimalNumber(text: string): number | undefined {
  if (!numberPattern.test(text)) return undefined
  const value = Number(text)
  return Number.isFinite(value) ? value : undefined
}

/** Reads `"<label>: 12.3"`, `"<label>: [<lat>,<long>]"` of the position sensor, or `"<label>: <words>"`. */
export function parseLabelledValue(sensor: string, labelled: string): LabelledValue | LabelledValueFault {
  const text = textAfterLabel(labelled)
  if (text === undefined) return 'no_label'
  if (sensor === positionSensor) {
    const match = positionPattern.exec(text)
    if (!match) return 'not_a_position'
    const [lat, long] = [Number(match[1]), Number(match[2])]
    if (Math.abs(lat) > 90 || Math.abs(long) > 180) return 'position_out_of_range'
    return { form: 'position', text, lat, long }
  }
  const value = decimalNumber(text)
  return value === undefined ? { form: 'words', text } : { form: 'number', text, value }
}
