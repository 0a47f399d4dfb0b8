/**
 * Ends this process, as kill -9 does, before its nth step that changes a disk or a database (`KILL_AT=n`), or, with
 * `KILL_AT=trace`, tells the steps that there are. Nothing in the program knows of it.
 */
import fs from 'node:fs'
import promises from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { loadPg } from '../platform/on-demand.ts'

type KillPoints = {
  /** Steps count from here on. */
  arm(): void
  /** They count no more. */
  disarm(): void
  trace: string[]
}

// biome-ignore lint/suspicious/noExplicitAny: functions of others, whatever they take
type Anything = (...args: any[]) => unknown

function setKillPoints(at: string | undefined): KillPoints {
  const trace: string[] = []
  let isArmed = false
  function step(name: string): void {
    if (!isArmed) return
    if (at === String(trace.length)) {
      process.kill(process.pid, 'SIGKILL')
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
    }
    trace.push(name)
  }
  const before = <Owner extends object>(
    owner: Owner,
    names: readonly (keyof Owner & string)[],
    isReal: Anything = isAlways,
  ) => {
    for (const name of names) {
      const real = owner[name] as Anything
      owner[name] = function (this: unknown, ...args: unknown[]) {
        if (isReal(...args)) step(name)
        return real.apply(this, args)
      } as never
    }
  }
  before(fs, ['linkSync', 'renameSync', 'fsyncSync', 'mkdirSync', 'writeFileSync'])
  before(fs, ['rmSync'], (path) => fs.existsSync(path))
  const open = promises.open
  promises.open = async (...args) => {
    if (args[1] !== 'r') step('open')
    const file = await open(...args)
    before(file as unknown as Record<string, Anything>, ['write', 'sync'])
    return file
  }
  syncBuiltinESMExports()
  const { Client } = loadPg()
  const query = Client.prototype.query as Anything
  Client.prototype.query = function (this: unknown, ...args: unknown[]) {
    const text = typeof args[0] === 'string' ? (args[0] as string) : ''
    const changes = /^\s*(begin$|commit|create|drop|alter)/i.exec(text)?.[1]?.toLowerCase()
    if (changes !== undefined) step(changes)
    const answer = query.apply(this, args)
    if (changes !== 'commit') return answer
    // The server has done it, and nobody here has heard of it.
    return (answer as Promise<unknown>).then((value) => {
      step('committed')
      return value
    })
  } as never
  return {
    arm: () => {
      isArmed = true
    },
    disarm: () => {
      isArmed = false
    },
    trace,
  }
}

export const killPoints = setKillPoints(process.env.KILL_AT)

function isAlways(): boolean {
  return true
}
