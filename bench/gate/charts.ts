import { isMet, type Verdict } from './compare.ts'

const [rowPx, labelPx, barPx, tailPx] = [24, 420, 300, 120]
/** Bars end here at the latest: what is five times its goal need not be drawn to scale. */
const longest = 2

/** One bench as bars: each figure as a share of its goal, which is the line in the middle; without one, of what it was. */
export function drawChart(title: string, verdicts: readonly Verdict[]): string {
  const height = rowPx * (verdicts.length + 2)
  const width = labelPx + barPx + tailPx
  const line = labelPx + barPx / longest
  const rows = verdicts.map((verdict, index) => drawRow(verdict, rowPx * (index + 1) + 8))
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">`,
    `<title>${escapeText(title)}: figures as shares of their goals</title>`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    `<text x="8" y="18" font-weight="bold">${escapeText(title)}</text>`,
    ...rows,
    `<line x1="${line}" x2="${line}" y1="${rowPx}" y2="${height - rowPx + 4}" stroke="#1c2733" stroke-dasharray="3 3"/>`,
    `<text x="${line}" y="${height - 6}" text-anchor="middle" fill="#5b6b7b">goal</text>`,
    '</svg>',
  ].join('\n')}\n`
}

function drawRow(verdict: Verdict, top: number): string {
  const { name, value, goal, before } = verdict
  const unit = goal ?? before ?? value
  const share = unit === 0 ? 1 : Math.max(0, value / unit)
  const length = Math.round((Math.min(longest, share) / longest) * barPx)
  const met = isMet(verdict)
  const colour = met === null ? '#8fa0b1' : met ? '#2e8b57' : '#c0632b'
  const told = `${value}${before === null || before === value ? '' : ` (was ${before})`}`
  return [
    `<text x="${labelPx - 8}" y="${top + 12}" text-anchor="end">${escapeText(name)}</text>`,
    `<rect x="${labelPx}" y="${top}" width="${length}" height="15" fill="${colour}"/>`,
    `<text x="${labelPx + length + 6}" y="${top + 12}">${escapeText(told)}</text>`,
  ].join('')
}

function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
