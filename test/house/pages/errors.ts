import { errorCatalogue } from '../../../src/kernel/errors.ts'
import { opening, table } from './markdown.ts'

export function renderErrors(): string {
  const head = opening(
    'Error codes · 错误码',
    `A code keeps its meaning for good. The control API answers \`application/problem+json\` with it in \`code\`; LLM paths
answer the envelope of the protocol the caller speaks. "Repeat" says whether the same request may succeed later.`,
  )
  const rows = Object.entries(errorCatalogue).map(([code, row]) => [
    `\`${code}\``,
    String(row.status),
    row.retry ? 'yes' : 'no',
    row.title,
    row.titleZh,
  ])
  return `${head}\n${table(['Code', 'Status', 'Repeat', 'Meaning', '含义'], rows)}\n`
}
