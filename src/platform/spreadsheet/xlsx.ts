import { Readable } from 'node:stream'
import { fail } from '../../kernel/errors.ts'
import { createZip } from './zip.ts'

export type Cell = string | number | boolean | null
type ExportRow = Readonly<Record<string, Cell>>

/**
 * A workbook (ECMA-376, https://ecma-international.org/publications-and-standards/standards/ecma-376/) written row by
 * row: however many rows, the memory is that of a few. Texts are texts and never formulas, whatever they begin with;
 * numbers are numbers; `times` names columns of epoch ms, which become dates of UTC. A full sheet is followed by another.
 */
export function toXlsx(
  columns: readonly string[],
  rows: AsyncIterable<ExportRow> | Iterable<ExportRow>,
  { times, limits = excelLimits }: { times: readonly string[]; limits?: SheetLimits },
): Readable {
  return Readable.from(workbook(columns, rows, new Set(times), limits), { objectMode: false })
}

export type SheetLimits = { rows: number; bytes: number }

/** What Excel opens: https://support.microsoft.com/office/1672b34d-7043-467e-8e27-269d656771c3. Zip's own is 4 GiB. */
const excelLimits: SheetLimits = { rows: 1_048_576, bytes: 3 * 2 ** 30 }
const mostSheets = 100

async function* workbook(
  columns: readonly string[],
  rows: AsyncIterable<ExportRow> | Iterable<ExportRow>,
  times: ReadonlySet<string>,
  limits: SheetLimits,
): AsyncGenerator<Buffer> {
  const zip = createZip()
  const line = createLines(columns, times)
  yield* openWorkbook(zip)

  const source = Symbol.asyncIterator in rows ? rows[Symbol.asyncIterator]() : rows[Symbol.iterator]()
  let isOver = false
  async function* sheet(): AsyncGenerator<string> {
    let text = sheetStart + line.heading
    let written = 0
    for (let number = 2; number <= limits.rows && written + text.length < limits.bytes; number++) {
      const { done, value } = await source.next()
      if (done === true) {
        isOver = true
        break
      }
      text += line.row(value, number)
      if (text.length < 16_384) continue
      yield text
      written += text.length
      text = ''
    }
    yield text + sheetEnd
  }

  let sheets = 0
  try {
    while (!isOver) {
      if (++sheets > mostSheets) throw fail('invalid_request', 'That is more than a workbook holds: export CSV')
      yield* zip.add(`xl/worksheets/sheet${sheets}.xml`, sheet())
    }
  } finally {
    if (!isOver) await source.return?.()
  }
  yield* closeWorkbook(
    zip,
    Array.from({ length: sheets }, (_, index) => `Sheet${index + 1}`),
  )
}

/** Small sheets of their own names, one after the other in one workbook. */
export function toWorkbook(
  sheets: readonly { name: string; columns: readonly string[]; rows: readonly ExportRow[] }[],
): Readable {
  return Readable.from(namedSheets(sheets), { objectMode: false })
}

async function* namedSheets(
  sheets: readonly { name: string; columns: readonly string[]; rows: readonly ExportRow[] }[],
): AsyncGenerator<Buffer> {
  const zip = createZip()
  yield* openWorkbook(zip)
  for (const [index, { columns, rows }] of sheets.entries()) {
    const line = createLines(columns, new Set())
    const texts = [sheetStart, line.heading, ...rows.map((row, at) => line.row(row, at + 2)), sheetEnd]
    yield* zip.add(`xl/worksheets/sheet${index + 1}.xml`, texts)
  }
  yield* closeWorkbook(
    zip,
    sheets.map(({ name }) => name),
  )
}

type Zip = ReturnType<typeof createZip>

async function* openWorkbook(zip: Zip): AsyncGenerator<Buffer> {
  yield* zip.add('[Content_Types].xml', [contentTypes])
  yield* zip.add('_rels/.rels', [relations([['officeDocument', 'xl/workbook.xml']])])
  yield* zip.add('xl/styles.xml', [styles])
}

async function* closeWorkbook(zip: Zip, names: readonly string[]): AsyncGenerator<Buffer> {
  yield* zip.add('xl/workbook.xml', [
    `${xml}<workbook xmlns="${main}" xmlns:r="${office}/relationships"><sheets>${names
      .map((name, index) => `<sheet name="${spelled(name)}" sheetId="${index + 1}" r:id="rId${index + 1}"/>`)
      .join('')}</sheets></workbook>`,
  ])
  yield* zip.add('xl/_rels/workbook.xml.rels', [
    relations([
      ...names.map((_, index) => ['worksheet', `worksheets/sheet${index + 1}.xml`] as const),
      ['styles', 'styles.xml'],
    ]),
  ])
  yield zip.end()
}

const xml = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
const main = 'http://schemas.openxmlformats.org/spreadsheetml/2006/main'
const office = 'http://schemas.openxmlformats.org/officeDocument/2006'
const kind = 'application/vnd.openxmlformats-officedocument.spreadsheetml'

// Every part that is named by nothing else is a sheet: this stands first, when nobody knows how many there will be.
const contentTypes = `${xml}<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="${kind}.worksheet+xml"/><Override PartName="/xl/workbook.xml" ContentType="${kind}.sheet.main+xml"/><Override PartName="/xl/styles.xml" ContentType="${kind}.styles+xml"/></Types>`

/** Style 0 is plain, 1 a heading, 2 a moment. */
const styles = `${xml}<styleSheet xmlns="${main}"><numFmts count="1"><numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd\\ hh:mm:ss"/></numFmts><fonts count="2"><font><sz val="11"/><name val="Calibri"/></font><font><b/><sz val="11"/><name val="Calibri"/></font></fonts><fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill></fills><borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders><cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs><cellXfs count="3"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/><xf numFmtId="0" fontId="1" fillId="0" borderId="0" xfId="0" applyFont="1"/><xf numFmtId="164" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/></cellXfs></styleSheet>`

// The heading stays where it is while the rows are scrolled.
const sheetStart = `${xml}<worksheet xmlns="${main}"><sheetViews><sheetView workbookViewId="0"><pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews><sheetData>`
const sheetEnd = '</sheetData></worksheet>'

function relations(targets: readonly (readonly [type: string, target: string])[]): string {
  const all = targets.map(
    ([type, target], index) =>
      `<Relationship Id="rId${index + 1}" Type="${office}/relationships/${type}" Target="${target}"/>`,
  )
  return `${xml}<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">${all.join('')}</Relationships>`
}

function createLines(columns: readonly string[], times: ReadonlySet<string>) {
  const places = columns.map((name, index) => ({ name, letters: lettersOf(index), isTime: times.has(name) }))
  const heading = places.map(({ name, letters }) => textCell(`${letters}1`, name, ' s="1"')).join('')
  return {
    heading: `<row r="1">${heading}</row>`,
    row(row: ExportRow, number: number): string {
      let cells = ''
      for (const { name, letters, isTime } of places) cells += cell(`${letters}${number}`, row[name] ?? null, isTime)
      return `<row r="${number}">${cells}</row>`
    },
  }
}

function cell(place: string, value: ExportRow[string], isTime: boolean): string {
  if (value === null || value === '') return ''
  if (typeof value === 'boolean') return `<c r="${place}" t="b"><v>${value ? 1 : 0}</v></c>`
  if (typeof value === 'string') return textCell(place, value, '')
  // Excel counts days from 1899-12-30.
  return isTime
    ? `<c r="${place}" s="2"><v>${value / 86_400_000 + 25_569}</v></c>`
    : `<c r="${place}"><v>${value}</v></c>`
}

function textCell(place: string, text: string, style: string): string {
  return `<c r="${place}"${style} t="inlineStr"><is><t xml:space="preserve">${spelled(text)}</t></is></c>`
}

const longestCell = 32_767
/** XML 1.0 has no way to write these, escaped or not. */
const unwritable = /[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g
const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '\r': '&#13;' }

function spelled(text: string): string {
  if (/^[ -%'-;=?-~]*$/.test(text) && !text.includes('_x') && text.length <= longestCell) return text
  return (
    text
      .slice(0, longestCell)
      .toWellFormed()
      .replace(unwritable, '')
      // `_x0041_` in a cell is an A to Excel.
      .replace(/_(?=x[0-9A-Fa-f]{4}_)/g, '_x005F_')
      .replace(/[&<>\r]/g, (sign) => entities[sign]!)
  )
}

function lettersOf(index: number): string {
  const rest = Math.floor(index / 26) - 1
  return (rest < 0 ? '' : lettersOf(rest)) + String.fromCharCode(65 + (index % 26))
}
