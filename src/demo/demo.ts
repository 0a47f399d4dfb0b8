import type { Clock } from '../kernel/clock.ts'
import type { UsageEntry } from '../usage/index.ts'
import { toManifest } from './plugin.ts'
import { makeTraffic } from './traffic.ts'

export type DemoParts = {
  clock: Clock
  providers: {
    has(name: string): Promise<boolean>
    create(name: string, baseUrl: string, models: readonly (readonly [string, string])[]): Promise<void>
    move(name: string, baseUrl: string): Promise<void>
    remove(): Promise<void>
  }
  services: {
    put(manifest: ReturnType<typeof toManifest>): Promise<void>
    move(manifest: ReturnType<typeof toManifest>): Promise<void>
    remove(name: string): Promise<void>
  }
  usage: {
    insert(entries: readonly UsageEntry[]): Promise<number>
    remove(): Promise<number>
  }
}

export type Demo = {
  /** Adds everything unless it is there; `hubUrl` is where a hub serves. Returns how many made-up requests are new. */
  load(hubUrl: string): Promise<number>
  /** After a restart the hub may listen elsewhere: lets a demo provider that is there follow. */
  follow(hubUrl: string): Promise<void>
  /** Returns how many made-up requests went. */
  remove(): Promise<number>
}

const provider = 'demo'
export const demoPath = '/demo/v1'

/** Names callers ask for, and the real models whose prices stand in for them. */
const models = [
  ['demo-mini', 'gpt-4o-mini'],
  ['demo-large', 'gpt-4o'],
] as const

/** Works on the store alone, beside a running hub too. */
export function createDemo({ clock, providers, services, usage }: DemoParts): Demo {
  return {
    async load(hubUrl) {
      await services.put(toManifest(hubUrl))
      if (await providers.has(provider)) {
        await providers.move(provider, hubUrl + demoPath)
        return 0
      }
      await providers.create(provider, hubUrl + demoPath, models)
      return usage.insert(makeTraffic({ now: clock.now(), days: 30, models }))
    },
    async follow(hubUrl) {
      await services.move(toManifest(hubUrl))
      await providers.move(provider, hubUrl + demoPath)
    },
    async remove() {
      await services.remove(toManifest('http://127.0.0.1:80').name)
      await providers.remove()
      return usage.remove()
    },
  }
}
