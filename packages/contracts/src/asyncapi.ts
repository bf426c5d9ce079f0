import type { z } from 'zod'
import { closeCodes } from './close-codes.ts'
import { SchemaComponents, type JsonSchema } from './json-schema.ts'
import { anomalyRecordSchema, sensorRecordSchema, sensorV5RecordSchema } from './records.ts'
import * as stream from './stream.ts'

const operation = (action: 'send' | 'receive', of: string, summary: string, names: string[]) => ({
  action,
  channel: { $ref: `#/channels/${of}` },
  summary,
  messages: names.map((name) => ({ $ref: `#/channels/${of}/messages/${name}` })),
})

/** The live socket and the Kafka topics as an AsyncAPI 3.0 document. */
export function asyncapiDocument(version: string): JsonSchema {
  const components = new SchemaComponents()
  const messages: Record<string, JsonSchema> = {}

  const channel = (
    name: string,
    address: string,
    description: string,
    schemas: Record<string, z.ZodType>,
    contentType: string,
  ) => {
    const references: Record<string, JsonSchema> = {}
    for (const [message, schema] of Object.entries(schemas)) {
      messages[message] = { name: message, contentType, payload: components.schemaOf(schema) }
      references[message] = { $ref: `#/components/messages/${message}` }
    }
    return { [name]: { address, description, messages: references } }
  }

  const server = {
    Hello: stream.helloSchema,
    Ack: stream.ackSchema,
    Snapshot: stream.snapshotSchema,
    Updates: stream.updatesSchema,
    Leave: stream.leaveSchema,
    Gap: stream.gapSchema,
    Feed: stream.feedSchema,
    Stats: stream.statsSchema,
    Pong: stream.pongSchema,
    StreamError: stream.streamErrorSchema,
    Bye: stream.byeSchema,
  }
  const client = {
    Subscribe: stream.subscribeSchema,
    UpdateSubscription: stream.updateSubscriptionSchema,
    Unsubscribe: stream.unsubscribeSchema,
    StatsRequest: stream.statsRequestSchema,
    Ping: stream.pingSchema,
  }
  const codes = Object.entries(closeCodes).map(([reason, code]) => `${code} ${reason}`)

  const channels = {
    ...channel(
      'plain',
      '/ws',
      'Without a sub-protocol: everything, as it comes.',
      { PlainFrame: stream.plainFrameSchema },
      'application/json',
    ),
    ...channel(
      'v2',
      '/ws',
      `With the sub-protocol \`${stream.subprotocol}\`, or \`/ws?protocol=${stream.subprotocol}\` where it can't be offered. Close codes: ${codes.join(', ')}; 4500 and above: do not come back.`,
      { ...server, ...client },
      'application/json',
    ),
    ...channel(
      'sensorRecords',
      'clb.demo.depa.raw',
      'Sensor readings; the name is configuration.',
      { SensorRecord: sensorRecordSchema },
      'avro/binary',
    ),
    ...channel(
      'sensorV5Records',
      'clb.demo.depa.v5',
      'Sensor readings of the older producer; the name is configuration.',
      { SensorV5Record: sensorV5RecordSchema },
      'avro/binary',
    ),
    ...channel(
      'anomalyRecords',
      'clb.demo.ml.anomaly',
      'Anomalies; the name is configuration.',
      { AnomalyRecord: anomalyRecordSchema },
      'avro/binary',
    ),
  }

  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Flasktoria live',
      version,
      description: 'The live socket that browsers read, and the Kafka records behind it.',
      license: { name: 'Apache-2.0' },
    },
    defaultContentType: 'application/json',
    channels,
    operations: {
      sendPlainFrame: operation('send', 'plain', 'What came since the last frame.', ['PlainFrame']),
      sendToClient: operation('send', 'v2', 'What a session gets.', Object.keys(server)),
      receiveFromClient: operation('receive', 'v2', 'What a client may say.', Object.keys(client)),
      receiveSensorRecord: operation('receive', 'sensorRecords', 'A reading.', ['SensorRecord']),
      receiveSensorV5Record: operation('receive', 'sensorV5Records', 'A reading of the older producer.', [
        'SensorV5Record',
      ]),
      receiveAnomalyRecord: operation('receive', 'anomalyRecords', 'An anomaly.', ['AnomalyRecord']),
    },
    components: { messages, schemas: components.schemas },
  }
}
