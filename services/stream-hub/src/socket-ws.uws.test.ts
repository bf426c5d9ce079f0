import { describeSocketServer } from './socket.conformance.ts'
import { listenWithWs } from './socket-ws.ts'

describeSocketServer(() => listenWithWs)
