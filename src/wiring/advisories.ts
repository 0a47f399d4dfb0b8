import type { Config } from '../config.ts'
import type { Clock } from '../kernel/clock.ts'
import { type Advised, bulkQuestion, readAuditReport, readBulkAnswer } from '../maintenance/index.ts'
import { listInstalledPackages, readChangeTime } from '../platform/diagnose/packages.ts'
import type { Upstreams } from '../platform/fetch.ts'
import { readTextIfPresent } from '../platform/files.ts'

/** What is known against the installed packages, by the file and the address that [maintenance] names; never rejects. */
export async function readAdvisories(
  {
    config,
    clock,
    upstreams,
  }: { config: Pick<Config, 'maintenance'>; clock: Clock; upstreams: Pick<Upstreams, 'send'> },
  timeoutMs = 30_000,
): Promise<Advised[]> {
  const { advisories_file: file, advisories_url: url } = config.maintenance
  const answers: Advised[] = []
  const told = async (source: string, asOfMs: number, ask: () => Promise<Advised['found']> | Advised['found']) => {
    try {
      answers.push({ source, asOfMs, fault: '', found: await ask() })
    } catch (error) {
      answers.push({ source, asOfMs, fault: (error as Error).message, found: [] })
    }
  }
  if (file !== '') {
    await told(file, readChangeTime(file) ?? clock.now(), () => {
      const text = readTextIfPresent(file)
      if (text === null) throw new Error('there is no such file')
      return readAuditReport(text)
    })
  }
  if (url !== '') {
    await told(new URL(url).host, clock.now(), async () => {
      const installed = listInstalledPackages()
      if (installed === null) throw new Error('npm has left no list of what it installed')
      const { status, body } = await upstreams.send(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'application/json' },
        body: bulkQuestion(installed),
        timeoutMs,
        maxBytes: 8 * 1024 ** 2,
      })
      if (status !== 200) throw new Error(`it answers ${status}`)
      return readBulkAnswer(body.toString('utf8'))
    })
  }
  return answers
}
