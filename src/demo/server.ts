import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '../kernel/clock.ts'
import { demoPath } from './demo.ts'
import { answerDemo } from './fake-provider.ts'
import { answerPlugin, isDemoPlugin } from './plugin.ts'

/** Whether a path is the demo's, loaded or not. */
export function isDemo(url: string): boolean {
  return isDemoPlugin(url) || url.startsWith(`${demoPath}/`)
}

/**
 * Serves the built-in provider and plugin, only while a hub has the provider among its own; the provider to this machine
 * alone. A call to the plugin comes from the hub for somebody who may be anywhere.
 */
export function createDemoServer({ clock, isLoaded }: { clock: Clock; isLoaded(): boolean }) {
  return (request: IncomingMessage, response: ServerResponse, { isLoopback }: { isLoopback: boolean }): boolean => {
    if (isDemoPlugin(request.url ?? '') && isLoaded()) {
      answerPlugin(request, response)
      return true
    }
    if (!isLoopback || request.url?.startsWith(`${demoPath}/`) !== true || !isLoaded()) return false
    void answerDemo(request, response, clock)
    return true
  }
}
