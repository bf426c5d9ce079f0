import { createBboxHandler } from './bbox-history.ts'
import { createFleetHandler } from './fleet-at.ts'
import type { HandlerDependencies } from './handlers.ts'
import type { HistoryGate } from './history-gate.ts'
import { createTrackHandler } from './track-answer.ts'
import { createTripsHandler } from './trips-answer.ts'
import { createStatsHandlers } from './vehicle-stats.ts'

/** Where vehicles were, and how they were used. */
export const createPositionHandlers = (dependencies: HandlerDependencies, gate: HistoryGate) => ({
  ...createTrackHandler(dependencies, gate),
  ...createTripsHandler(dependencies, gate),
  ...createFleetHandler(dependencies, gate),
  ...createBboxHandler(dependencies, gate),
  ...createStatsHandlers(dependencies, gate),
})
