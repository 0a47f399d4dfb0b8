import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '../kernel/clock.ts'
import { demoPath } from './demo.ts'
import { answerDemo } from './fake-provider.ts'

/** Serves the built-in provider, to this machine only and only while a hub has it among its providers. */
export function createDemoServer({ clock, isLoaded }: { clock: Clock; isLoaded(): boolean }) {
  return (request: IncomingMessage, response: ServerResponse, { isLoopback }: { isLoopback: boolean }): boolean => {
    if (!isLoopback || request.url?.startsWith(`${demoPath}/`) !== true || !isLoaded()) return false
    void answerDemo(request, response, clock)
    return true
  }
}
