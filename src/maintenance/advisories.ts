/** Known weaknesses of installed packages, from a file that somebody brought or from an address that somebody named. */
export type Advisory = { package: string; severity: Severity; title: string; url: string }
export type Severity = (typeof severities)[number]

/** What one source says; `fault` where it says nothing. */
export type Advised = { source: string; asOfMs: number; fault: string; found: readonly Advisory[] }

const severities = ['critical', 'high', 'moderate', 'low', 'info'] as const
const mostTold = 500

/** Reads what `npm audit --json` writes (npm 7 and later, and the older shape). Throws what is wrong with the text. */
export function readAuditReport(text: string): Advisory[] {
  const report = readJson(text) as {
    vulnerabilities?: Record<string, { severity?: string; via?: readonly (string | Told)[] }>
    advisories?: Record<string, Told & { module_name?: string }>
    error?: { summary?: string }
  }
  if (report.vulnerabilities !== undefined) {
    return Object.entries(report.vulnerabilities).flatMap(([name, { severity, via = [] }]) =>
      // What only depends on a weak package is told with that package.
      via
        .filter((each) => typeof each !== 'string')
        .map((each) => toAdvisory(name, { severity: severity ?? '', ...each })),
    )
  }
  if (report.advisories !== undefined)
    return Object.values(report.advisories).map((each) => toAdvisory(each.module_name ?? '', each))
  throw new Error(report.error?.summary ?? 'this is not what "npm audit --json" writes')
}

/** Reads an answer of npm's advisories/bulk: https://docs.npmjs.com/cli/v11/commands/npm-audit#bulk-advisory-endpoint */
export function readBulkAnswer(text: string): Advisory[] {
  const answer = readJson(text)
  const isList =
    typeof answer === 'object' &&
    answer !== null &&
    !Array.isArray(answer) &&
    Object.values(answer).every(Array.isArray)
  if (!isList) throw new Error('its answer is no list of advisories')
  return Object.entries(answer as Record<string, readonly Told[]>)
    .flatMap(([name, told]) => told.map((each) => toAdvisory(name, each)))
    .slice(0, mostTold)
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new Error('its answer is no JSON')
  }
}

/** The question of that address: every version of every package. */
export function bulkQuestion(installed: readonly { name: string; version: string }[]): string {
  const versions: Record<string, string[]> = {}
  for (const { name, version } of installed) {
    versions[name] ??= []
    if (!versions[name].includes(version)) versions[name].push(version)
  }
  return JSON.stringify(versions)
}

type Told = { severity?: string; title?: string; url?: string }

function toAdvisory(name: string, { severity, title, url }: Told): Advisory {
  // One that does not say how bad it is, is not taken lightly.
  const known = severities.find((each) => each === severity) ?? 'high'
  return { package: name, severity: known, title: title ?? '', url: url ?? '' }
}
