import { findDaemon } from '../servers/daemon.ts'
import { findService, forgetState, readState, supervisorPlan, type StackService } from './state.ts'

const isServer = ({ name }: StackService) => ['redis', 'kafka', 'warehouse'].includes(name)

const stopAll = (services: readonly StackService[]) =>
  Promise.all(services.map(async (service) => findService(service)?.stop()))

/** Ends processes; those that use a server before the server. */
export async function stopServices(services: readonly StackService[]): Promise<void> {
  await stopAll(services.filter((service) => !isServer(service)))
  await stopAll(services.filter(isServer))
}

/** Ends every process of the stack, the one that would bring them back first. Data stays. False: there was no stack. */
export async function down(dir: string): Promise<boolean> {
  await findDaemon(supervisorPlan(dir))?.stop()
  const state = readState(dir)
  if (!state) return false
  await stopServices(state.services)
  forgetState(dir)
  return true
}
