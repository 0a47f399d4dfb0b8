/**
 * A PDF of lines of text, Chinese and Latin, written by hand: pages of A4, what is ASCII in Helvetica and everything else in
 * `STSong-Light` under the predefined encoding `UniGB-UCS2-H` (ISO 32000-1 §9.6.2.2, §9.7.5.2). Readers have both, and neither
 * is embedded. No dependency draws that for less.
 */
const page = { width: 595, height: 842, margin: 56 }
const sizes = { body: 10, heading: 13, title: 18 }
/** Of Helvetica, from the space to the tilde, in thousandths of the size: its AFM's. */
const latinWidths = [
  ...[278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278],
  ...[556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556],
  ...[1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778],
  ...[667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556],
  ...[333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556],
  ...[556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584],
]

type Placed = { text: string; size: number; gapBefore: number }

/** `# ` and `## ` at the beginning of a line make headings. The same lines make the same bytes. */
export function writePdf(lines: readonly string[], title: string): Buffer {
  const placed = lines.flatMap(placeLine)
  const pages: string[] = []
  let content: string[] = []
  let y = page.height - page.margin
  for (const { text, size, gapBefore } of placed) {
    const height = size * 1.5
    y -= height + gapBefore
    if (y < page.margin) {
      pages.push(content.join('\n'))
      content = []
      y = page.height - page.margin - height
    }
    content.push(`BT ${page.margin} ${y.toFixed(1)} Td ${runsOf(text, size)} ET`)
  }
  pages.push(content.join('\n'))
  return assemble(pages, title)
}

function placeLine(line: string): Placed[] {
  const [size, text, gapBefore] = line.startsWith('## ')
    ? [sizes.heading, line.slice(3), 8]
    : line.startsWith('# ')
      ? [sizes.title, line.slice(2), 0]
      : [sizes.body, line, 0]
  return wrap(text, ((page.width - 2 * page.margin) / size) * 1000).map((part, index) => ({
    ...{ text: part, size, gapBefore: index === 0 ? gapBefore : 0 },
  }))
}

/** Between words where there are some, else wherever the line is full, as Chinese is. */
function wrap(text: string, most: number): string[] {
  const lines: string[] = []
  let [line, width, lastSpace] = ['', 0, -1]
  for (const letter of text.replace(/[\r\n\t]/g, ' ')) {
    const own = widthOf(letter)
    if (width + own > most && line !== '') {
      const cut = lastSpace > 0 ? lastSpace : line.length
      lines.push(line.slice(0, cut))
      line = line.slice(cut).trimStart()
      width = [...line].reduce((sum, each) => sum + widthOf(each), 0)
      lastSpace = -1
    }
    if (letter === ' ') lastSpace = line.length
    line += letter
    width += own
  }
  return [...lines, line]
}

function isLatin(letter: string): boolean {
  return letter >= ' ' && letter <= '~'
}

function widthOf(letter: string): number {
  return isLatin(letter) ? latinWidths[letter.charCodeAt(0) - 0x20]! : 1000
}

/** Each stretch of letters in the font that has them. */
function runsOf(text: string, size: number): string {
  return (text.match(/[ -~]+|[^ -~]+/g) ?? [])
    .map((run) => {
      if (!isLatin(run[0]!)) return `/F1 ${size} Tf <${encode(run)}> Tj`
      return `/F2 ${size} Tf <${Buffer.from(run, 'latin1').toString('hex')}> Tj`
    })
    .join(' ')
}

/** UCS-2, big-endian, in hex; what lies beyond it, and controls, are shown as a question mark. */
function encode(text: string): string {
  let hex = ''
  for (const letter of text) {
    const code = letter.codePointAt(0)!
    const isPlain =
      code >= 0x20 && code <= 0xffff && !(code >= 0x7f && code < 0xa0) && !(code >= 0xd800 && code <= 0xdfff)
    hex += (isPlain ? code : 0x3f).toString(16).padStart(4, '0').toUpperCase()
  }
  return hex
}

function assemble(pages: readonly string[], title: string): Buffer {
  const first = 8
  const objects = [
    '<< /Type /Catalog /Pages 2 0 R >>',
    `<< /Type /Pages /Count ${pages.length} /Kids [${pages.map((_, index) => `${first + index * 2} 0 R`).join(' ')}] >>`,
    '<< /Type /Font /Subtype /Type0 /BaseFont /STSong-Light-UniGB-UCS2-H /Encoding /UniGB-UCS2-H /DescendantFonts [4 0 R] >>',
    '<< /Type /Font /Subtype /CIDFontType0 /BaseFont /STSong-Light /CIDSystemInfo << /Registry (Adobe) /Ordering (GB1) /Supplement 2 >> /FontDescriptor 5 0 R /DW 1000 >>',
    '<< /Type /FontDescriptor /FontName /STSong-Light /Flags 6 /FontBBox [-25 -254 1000 880] /ItalicAngle 0 /Ascent 880 /Descent -120 /CapHeight 880 /StemV 93 >>',
    `<< /Title <FEFF${encode(title)}> /Producer (Gatehouse) >>`,
    '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>',
    ...pages.flatMap((content, index) => [
      `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 ${page.width} ${page.height}] /Resources << /Font << /F1 3 0 R /F2 7 0 R >> >> /Contents ${first + index * 2 + 1} 0 R >>`,
      `<< /Length ${Buffer.byteLength(content)} >>\nstream\n${content}\nendstream`,
    ]),
  ]
  let text = '%PDF-1.4\n%\u00e2\u00e3\u00cf\u00d3\n'
  const offsets = objects.map((body, index) => {
    const at = text.length
    text += `${index + 1} 0 obj\n${body}\nendobj\n`
    return at
  })
  const start = text.length
  const entries = offsets.map((at) => `${String(at).padStart(10, '0')} 00000 n \n`).join('')
  text += `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${entries}trailer\n<< /Size ${objects.length + 1} /Root 1 0 R /Info 6 0 R >>\nstartxref\n${start}\n%%EOF\n`
  return Buffer.from(text, 'latin1')
}
