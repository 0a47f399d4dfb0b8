import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { cores, cpuMs, processTree } from './machine.ts'
import { expectation, type Scenario, writeRequest } from './scenarios.ts'
import type { RunningSubject } from './subjects/subject.ts'

/** One window of load on one subject, as the load generator saw it. */
export type Window = {
  answers: number
  allAnswers: number
  marks: number
  windowMs: number
  cpuMs: number
  p50Us: number
  p99Us: number
  firstP50Us: number
  firstP99Us: number
}

export type WindowOptions = { loadProgram: string; workFolder: string; warmMs: number; windowMs: number }

/** Loads one subject for one window. Throws on any answer that is not 2xx, not whole or not right. */
export async function measureWindow(
  name: string,
  subject: RunningSubject,
  scenario: Scenario,
  options: WindowOptions,
): Promise<Window> {
  const requestFile = `${options.workFolder}/request`
  writeFileSync(requestFile, writeRequest(scenario, subject))
  const { mark, marks, tail } = expectation[scenario.unit]
  const args = [subject.port, requestFile, scenario.connections, options.warmMs, options.windowMs, mark, marks, tail]
  const pids = processTree(subject.pid).join(',')
  return await new Promise((resolve, reject) => {
    const command = ['-c', String(cores.load), options.loadProgram, ...args.map(String), pids]
    execFile('taskset', command, (error, stdout, stderr) => {
      if (error) reject(new Error(`${name} failed in "${scenario.name}": ${stdout}${stderr}`))
      else resolve(JSON.parse(stdout) as Window)
    })
  })
}

/** CPU time per request, or per chunk, in microseconds. */
export function unitCostUs(window: Window, scenario: Scenario): number {
  return (window.cpuMs * 1000) / Math.max(1, scenario.unit === 'request' ? window.answers : window.marks)
}

/** Waits until a subject has done what it put off, such as writing its ledger: idle for 300 ms, at most 10 s. */
export async function untilQuiet(subject: RunningSubject): Promise<void> {
  for (let tries = 0; tries < 33; tries++) {
    const before = cpuMs(processTree(subject.pid))
    await new Promise((resolve) => setTimeout(resolve, 300))
    if (cpuMs(processTree(subject.pid)) - before <= 20) return
  }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}
