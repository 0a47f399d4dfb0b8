import { describe, expect, test } from 'vitest'
import { fingerprintOf } from '../fingerprint.ts'
import { readRules } from './read-rules.ts'
import { readValues } from './series-notation.ts'
import { expand, readTemplate } from './template/run.ts'

const faultsOf = (text: string) =>
  readRules(text, 'r.yml', 'file').faults.map(({ file, line, message }) => `${file}:${line}: ${message}`)

describe('what is wrong with a rule file is told by its line, all at once', () => {
  const group = (rules: string, more = '') => `groups:\n  - name: g\n${more}    rules:\n${rules}`
  test.each([
    [
      group('      - alert: A\n        expr: up ==\n'),
      'r.yml:5: A: could not parse expression: 1:6: parse error: unexpected end of input',
    ],
    [
      group('      - alert: A\n        record: b\n        expr: up\n'),
      "r.yml:4: A: only one of 'record' and 'alert' must be set",
    ],
    [group('      - expr: up\n'), "r.yml:4: rule: one of 'record' or 'alert' must be set"],
    [group('      - alert: A\n'), "r.yml:4: A: field 'expr' must be set in rule"],
    [
      group('      - alert: A\n        expr: up\n        for: soon\n'),
      'r.yml:6: "for": not a valid duration string: "soon"; write it as 30s, 5m or 1h30m',
    ],
    [
      group('      - alert: A\n        expr: up\n        when: now\n'),
      'r.yml:6: rule: there is no field "when"; known are record, alert, expr, for, keep_firing_for, labels, annotations',
    ],
    [
      group('      - alert: A\n        expr: up\n        annotations:\n          text: "{{ shout $value }}"\n'),
      'r.yml:7: A: the template of annotation "text" cannot be read: function "shout" not defined',
    ],
    [
      group('      - alert: A\n        expr: up\n        annotations: { text: "{{ $nobody }}" }\n'),
      'r.yml:6: A: the template of annotation "text" cannot be read: undefined variable "$nobody"',
    ],
    [
      group('      - alert: A\n        expr: up\n        annotations: { text: "{{ if $value }}" }\n'),
      'r.yml:6: A: the template of annotation "text" cannot be read: {{if}} has no {{end}}',
    ],
    [group('      - alert: A\n        expr: up\n        labels: { "a-b": c }\n'), 'r.yml:6: invalid label name: "a-b"'],
    [group('      - record: a b\n        expr: up\n'), 'r.yml:4: a b: invalid recording rule name: a b'],
    [
      group('      - record: a\n        expr: up\n        for: 1m\n'),
      "r.yml:6: a: invalid field 'for' in recording rule",
    ],
    [group('      - alert: A\n        expr: up\n', '    limit: -1\n'), 'r.yml:3: "limit" is a whole number: "-1"'],
    [
      `${group('      - alert: A\n        expr: up\n')}  - name: g\n`,
      'r.yml:6: groupname: "g" is repeated in the same file: give it another name',
    ],
    ['rules: []', 'r.yml:1: there is no field "rules"; known are groups'],
    ['- a', 'r.yml:1: A rule file begins with "groups:"'],
  ])('%#', (text, fault) => {
    expect(faultsOf(text)).toContain(fault)
  })

  test('what is no YAML is told by its line', () => {
    expect(faultsOf('groups:\n  - name: g\n    rules: [')[0]).toMatch(/^r\.yml:3: Flow sequence/)
  })

  test('two rules that would make the same series are a warning; an empty file is no fault', () => {
    const twice = '      - alert: A\n        expr: up == 0\n      - alert: A\n        expr: up == 1\n'
    const { groups, faults } = readRules(group(twice), 'r.yml', 'file')
    expect(faults.map(({ level, line }) => [level, line])).toEqual([['warning', 6]])
    expect(new Set(groups[0]!.rules.map(({ id }) => id)).size).toBe(2)
    expect(readRules('', 'r.yml', 'file')).toEqual({ groups: [], faults: [] })
  })
})

describe("texts come out as Prometheus'", () => {
  const world = {
    externalUrl: 'https://hub.example/x',
    query: async (text: string) =>
      text === 'none'
        ? []
        : [
            { labels: { job: 'b' }, value: 2 },
            { labels: { job: 'a' }, value: 1 },
          ],
  }
  const run = (text: string, value = 0.5) =>
    expand(readTemplate(text), { labels: { job: 'api', host: 'h:90' }, externalLabels: {}, value }, world)

  test.each([
    ['{{ $value }}', 1e6, '1e+06'],
    ['{{ .Value }} {{ .Labels.job }} [{{ $labels.absent }}]', 0.1, '0.1 api []'],
    ['{{ $value | humanize }} {{ humanize1024 $value }}', 1_234_567, '1.235M 1.177Mi'],
    ['{{ humanizeDuration $value }}', 100_000, '1d 3h 46m 40s'],
    ['{{ humanizeDuration $value }}', 0.0123, '12.3ms'],
    [
      '{{ $value | humanizePercentage }} {{ $value | humanizeTimestamp }}',
      0.125,
      '12.5% 1970-01-01 00:00:00.125 +0000 UTC',
    ],
    ['{{ printf "%.1f|%5.2f|%-4s|%q|%d|%t|%%" $value 1.005 "a" "b" 7 true }}', 2.25, '2.2| 1.00|a   |"b"|7|true|%'],
    ['{{ printf "%d" $value }}', 3, '%!d(float64=3)'],
    [
      '{{- if and (gt $value 1.0) (ne .Labels.job "db") -}} yes {{- else if eq $value 0.5 -}} half {{- end -}}',
      0.5,
      'half',
    ],
    ['{{ with query "up" }}{{ . | first | label "job" }}={{ . | first | value }}{{ end }}', 1, 'b=2'],
    ['{{ with query "none" }}x{{ else }}nothing{{ end }}', 1, 'nothing'],
    ['{{ range $i, $e := query "up" | sortByLabel "job" }}{{ if $i }},{{ end }}{{ .Labels.job }}{{ end }}', 1, 'a,b'],
    ['{{ $x := 1 }}{{ range query "up" }}{{ $x = 2 }}{{ end }}{{ $x }}{{/* a comment */}}', 1, '2'],
    [
      '{{ reReplaceAll "(.*):.*" "$1" $labels.host }} {{ match "^h" $labels.host }} {{ stripPort .Labels.host | toUpper }}',
      1,
      'h true H',
    ],
    [
      '{{ "a b" | title }} {{ len "abc" }} {{ externalURL }}{{ pathPrefix }} {{ index $labels "job" }}',
      1,
      'A B 3 https://hub.example/x/x api',
    ],
    ['{{ query "none" | first | value }}', 1, '<error expanding template: first() called on vector with no elements>'],
    ['{{ eq $value "a" }}', 1, '<error expanding template: incompatible types for comparison>'],
  ])('%s', async (text, value, expected) => {
    expect(await run(text, value)).toBe(expected)
  })

  test('a template cannot run for ever', async () => {
    const nested = '{{ range 1000 }}{{ range 1000 }}x{{ end }}{{ end }}'
    expect(await run(nested)).toMatch(/^<error expanding template: the t/)
  })
})

test('series are written as promtool reads them', () => {
  expect(readValues('1+2x3 4-1x2 5x1 _ _x2 stale -3 1e2 0x2 NaN -Inf', 'a')).toEqual([
    ...[1, 3, 5, 7, 4, 3, 2, 5, 5, '_', '_', '_', 'stale', -3, 100, 0, 0, 0, Number.NaN, Number.NEGATIVE_INFINITY],
  ])
  expect(() => readValues('1 two', 'up')).toThrow('up: "two" is no value')
  expect(() => readValues('{{sum:1}}', 'up')).toThrow('native histograms are not supported')
})

test('the fingerprint of labels does not hang on their order; of none it is the basis of FNV-1a', () => {
  expect(fingerprintOf({})).toBe('cbf29ce484222325')
  expect(fingerprintOf({ b: '2', a: '1' })).toBe(fingerprintOf({ a: '1', b: '2' }))
  expect(fingerprintOf({ a: '1' })).not.toBe(fingerprintOf({ a: '', '1': '' }))
})
