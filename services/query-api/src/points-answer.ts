import { mediaTypes } from '@flasktoria/contracts/operation'
import type { RowsEnd } from '@flasktoria/contracts/rest-v1'
import type { Context } from 'hono'
import type { RequestEnv } from './request-env.ts'

/** Rows with a place as GeoJSON (RFC 7946): a point each, the rest of it as its properties. */
export function answerPoints(
  c: Context<RequestEnv>,
  rows: readonly { lat: number; long: number }[],
  end: RowsEnd,
): Response {
  const features = rows.map(({ lat, long, ...properties }) => ({
    type: 'Feature',
    geometry: { type: 'Point', coordinates: [long, lat] },
    properties,
  }))
  const collection = { type: 'FeatureCollection', features, ...end }
  return c.body(JSON.stringify(collection), 200, { 'Content-Type': mediaTypes.geojson })
}
