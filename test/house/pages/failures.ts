import { failures } from '../failures.ts'

/** docs/reference/failures.md */
export function renderFailures(): string {
  const rows = failures.map(({ seed, en, zh, findings, tests }) =>
    [
      ...[seed, `${en} · ${zh}`],
      findings.map((id) => `[${id}](../runbook/doctor.md#${id})`).join(' ') || '–',
      tests.map(([file, name]) => `[${name}](../../${file})`).join('; '),
    ].join(' | '),
  )
  return `${[
    '# Failures that the five guides list',
    '',
    'What operators of the former tools wrote down as failures, what the doctor calls each, and the tests that make it happen. Written by `npm run docs` from `test/house/failures.ts`.',
    '',
    '五份故障指南列出的故障、对应的诊断项，以及真实触发它们的测试。',
    '',
    '| guide | failure · 故障 | found as · 诊断项 | made by · 测试 |',
    '|---|---|---|---|',
    ...rows.map((each) => `| ${each} |`),
  ].join('\n')}\n`
}
