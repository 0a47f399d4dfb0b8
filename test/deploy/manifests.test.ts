import { existsSync, globSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Ajv } from 'ajv'
import { describe, expect, test } from 'vitest'
import { loadConfig } from '../../src/config.ts'
import { type Json, readDocuments, renderChart } from './chart.ts'

const repository = new URL('../../', import.meta.url).pathname
const deploy = join(repository, 'deploy')
const chart = join(deploy, 'helm/gatehouse')
const read = (path: string) => readFileSync(join(deploy, path), 'utf8')
const files = globSync('**/*', { cwd: deploy, withFileTypes: true })
  .filter((each) => each.isFile())
  .map((each) => join(each.parentPath, each.name).slice(deploy.length + 1))
  .concat(['docker/Dockerfile.dockerignore', 'compose/.env.example'])

// biome-ignore lint/suspicious/noExplicitAny: manifests are read as programs without types would
type Any = any

const settings = readFileSync(join(repository, 'docs/reference/settings.md'), 'utf8')
const variables = new Set([
  ...[...settings.matchAll(/`(GATEHOUSE_[A-Z0-9_]+|[A-Z]+_[A-Z_]+)`/g)].map(([, name]) => name!),
  // The two that have no place in a file.
  ...['GATEHOUSE_CONFIG', 'GATEHOUSE_SECRET_KEY'],
])
const sections = settings.split(/^## \[/m).slice(1)
const dotted = new Set(
  sections.flatMap((section) => {
    const name = section.slice(0, section.indexOf(']'))
    return [...section.matchAll(/^\| `([a-z0-9_.]+)` \|/gm)].map(([, key]) => `${name}.${key}`)
  }),
)
const sectionNames = sections.map((section) => section.slice(0, section.indexOf(']')))

describe('what is written in deploy/', () => {
  test('names only variables that are settings', () => {
    const named = files.flatMap((file) =>
      [...read(file).matchAll(/\bGATEHOUSE_[A-Z0-9_]*[A-Z0-9]\b/g)].map(([name]) => `${file} ${name}`),
    )
    expect(named.length).toBeGreaterThan(20)
    expect(named.filter((each) => !variables.has(each.split(' ')[1]!))).toEqual([])
  })

  test('names only settings that are there', () => {
    const pattern = new RegExp(`(?<![\\w./:])(${sectionNames.join('|')})\\.([a-z]+_[a-z_]*[a-z])\\b`, 'g')
    const named = files
      .filter((file) => !file.startsWith('grafana/'))
      .flatMap((file) => [...read(file).matchAll(pattern)].map(([name]) => `${file} ${name}`))
    expect(named.length).toBeGreaterThan(5)
    expect(named.filter((each) => !dotted.has(each.split(' ')[1]!))).toEqual([])
  })

  test('is YAML and JSON without faults', () => {
    const yaml = files.filter((file) => /\.ya?ml$/.test(file) && !file.includes('/templates/'))
    expect(yaml.length).toBeGreaterThan(10)
    for (const file of yaml) expect([file, readDocuments(file, read(file)).length]).not.toEqual([file, 0])
    for (const file of files.filter((each) => each.endsWith('.json'))) JSON.parse(read(file))
  })
})

describe('the image', () => {
  const dockerfile = read('docker/Dockerfile')
  test('runs as nobody of importance, with its probe, and starts the program itself', () => {
    const last = dockerfile.slice(dockerfile.lastIndexOf('\nFROM '))
    expect(last).toMatch(/^USER 1000:1000$/m)
    expect(last).toMatch(/^VOLUME \/data$/m)
    expect(last).toMatch(/^ENTRYPOINT \["node", "bin\/gatehouse"\]$/m)
    expect(last).toMatch(/^HEALTHCHECK .*\\\n {2}CMD \["node", "-e", "[^\n]*\/livez/m)
    expect(dockerfile).not.toMatch(/npm (ci|install)(?!.*--ignore-scripts)/)
  })

  test('is of the Node that the project is developed with, and is copied from what is there', () => {
    const major = readFileSync(join(repository, '.node-version'), 'utf8').trim()
    expect(dockerfile).toContain(`ARG NODE_IMAGE=node:${major}-`)
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, from]) => from!.split(' '))
    expect(copied.length).toBeGreaterThan(5)
    for (const path of copied) expect([path, existsSync(join(repository, path))]).toEqual([path, true])
    const kept = read('docker/Dockerfile.dockerignore').split('\n')
    for (const path of copied.filter((each) => each !== '.'))
      expect(kept.some((line) => line.startsWith('!') && `${path}/`.startsWith(`${line.slice(1)}/`))).toBe(true)
  })

  test('its probe says 1 while nobody listens', async () => {
    const { spawnSync } = await import('node:child_process')
    const command = JSON.parse(/^ {2}CMD (\[.*\])$/m.exec(dockerfile)![1]!) as string[]
    const env = { PATH: process.env.PATH ?? '', GATEHOUSE_SERVER_PORT: '9' }
    expect(spawnSync(process.execPath, command.slice(1), { env }).status).toBe(1)
  })
})

describe('compose files', () => {
  describe.each(['embedded', 'scaled', 'observed'])('%s.yml', (name) => {
    const compose = readDocuments(name, read(`compose/${name}.yml`))[0] as Any
    const services = Object.entries<Any>(compose.services)

    test('says which version of each image, and runs none as root with rights to spare', () => {
      for (const [service, { image, privileged, security_opt, network_mode }] of services) {
        expect([service, image]).toEqual([service, expect.stringMatching(/^[\w./-]+:v?\d[\w.-]*$/)])
        expect([service, privileged, network_mode]).toEqual([service, undefined, undefined])
        if (!/^(postgres|redis):/.test(image)) expect(security_opt).toContain('no-new-privileges:true')
      }
    })

    test('uses volumes, networks and secrets that it declares, and files that are there', () => {
      for (const [, { volumes = [], networks = [], secrets = [], depends_on = [] }] of services) {
        for (const volume of volumes as string[]) {
          const from = volume.split(':')[0]!
          if (from.startsWith('.')) expect(existsSync(resolve(deploy, 'compose', from))).toBe(true)
          else expect(compose.volumes).toHaveProperty([from])
        }
        const listed = (of: Any): string[] => (Array.isArray(of) ? of : Object.keys(of))
        for (const network of listed(networks)) expect(compose.networks).toHaveProperty([network])
        for (const secret of listed(secrets)) expect(compose.secrets).toHaveProperty([secret])
        for (const service of listed(depends_on)) expect(compose.services).toHaveProperty([service])
      }
    })

    test('publishes on this machine only, and keeps each hub on a read-only root with data of its own', () => {
      const data: string[] = []
      for (const [, { image, ports = [], read_only, cap_drop, volumes, stop_grace_period }] of services) {
        for (const port of ports as string[]) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/)
        if (!image.startsWith('gatehouse:')) continue
        expect([read_only, cap_drop, stop_grace_period]).toEqual([true, ['ALL'], '45s'])
        data.push(...(volumes as string[]).filter((volume) => volume.endsWith(':/data')))
      }
      expect(data.length).toBeGreaterThan(0)
      expect(new Set(data).size).toBe(data.length)
    })

    test('gives each hub settings that it takes', () => {
      for (const [, { image, environment }] of services.filter(([, each]) => each.image.startsWith('gatehouse:'))) {
        // Filled in as .env.example says: with what openssl makes.
        const filled = (text: string) => text.replaceAll(/\$\{\w+:[-?][^}]*\}/g, 'f00dfeedf00dfeedf00dfeed01234567')
        const env = Object.fromEntries(
          Object.entries<string>(environment).map(([variable, text]) => [variable, filled(text)]),
        )
        const { config, warnings } = loadConfig({ file: null, env, flags: {} })
        expect([image, warnings]).toEqual([image, []])
        expect(config.auth.admin_key).toBe(env.ADMIN_KEY)
      }
    })

    test('asks for what .env.example has', () => {
      const wanted = [...read(`compose/${name}.yml`).matchAll(/\$\{([A-Z_]+)/g)].map(([, variable]) => variable!)
      for (const variable of wanted) expect(read('compose/.env.example')).toMatch(new RegExp(`^${variable}=`, 'm'))
    })
  })
})

const secretKeys = ['ADMIN_KEY', 'GATEHOUSE_SECRET_KEY', 'GATEHOUSE_DATABASE_URL', 'GATEHOUSE_REDIS_URL']
const apiVersions: Record<string, string> = {
  ...{ Service: 'v1', Secret: 'v1', StatefulSet: 'apps/v1', Deployment: 'apps/v1', Job: 'batch/v1' },
  ...{ HorizontalPodAutoscaler: 'autoscaling/v2', PodDisruptionBudget: 'policy/v1' },
  ...{ NetworkPolicy: 'networking.k8s.io/v1', Ingress: 'networking.k8s.io/v1' },
  ServiceMonitor: 'monitoring.coreos.com/v1',
}
const everything = {
  ...{ mode: 'scaled', ingress: { enabled: true, host: 'hub.example.com', tlsSecret: 'tls', className: 'nginx' } },
  ...{ serviceMonitor: { enabled: true }, settings: { LOG_LEVEL: 'warning' }, imagePullSecrets: [{ name: 'mine' }] },
  ...{ nodeSelector: { disk: 'ssd' }, tolerations: [{ operator: 'Exists' }], affinity: { nodeAffinity: {} } },
  networkPolicy: { egressPorts: [8001, 11434] },
}
const digest = `sha256:${'0'.repeat(64)}`
const sets: [string, () => Json[]][] = [
  ['kubernetes/embedded.yml', () => readDocuments('embedded', read('kubernetes/embedded.yml'))],
  ['kubernetes/scaled.yml', () => readDocuments('scaled', read('kubernetes/scaled.yml'))],
  ['the chart as it is', () => renderChart(chart)],
  ['the chart, scaled, with everything on', () => renderChart(chart, everything)],
  ['the chart, embedded, under another name', () => renderChart(chart, { image: { digest } }, 'mine')],
]

describe.each(sets)('Kubernetes: %s', (_name, make) => {
  const documents = make() as Any[]
  const of = (...kinds: string[]) => documents.filter(({ kind }) => kinds.includes(kind))
  const workloads = of('StatefulSet', 'Deployment', 'Job')

  test('has one thing of a kind and name, each of the version that is spoken today', () => {
    const names = documents.map(({ kind, metadata }) => `${kind}/${metadata.name}`)
    expect(new Set(names).size).toBe(names.length)
    for (const { kind, apiVersion } of documents) expect([kind, apiVersion]).toEqual([kind, apiVersions[kind]])
    expect(workloads.length).toBeGreaterThan(0)
  })

  test('selects the pods it means, and the Job is behind no Service', () => {
    const [hub] = of('StatefulSet', 'Deployment')
    const [job] = of('Job')
    const selectors = [hub.spec.selector.matchLabels, ...of('Service').map(({ spec }) => spec.selector)]
    selectors.push(...of('PodDisruptionBudget').map(({ spec }) => spec.selector.matchLabels))
    for (const selector of selectors) {
      expect(hub.spec.template.metadata.labels).toMatchObject(selector)
      if (job) expect(job.spec.template.metadata.labels).not.toMatchObject(selector)
    }
    for (const { spec } of of('NetworkPolicy'))
      for (const pod of [hub, job].filter(Boolean))
        expect(pod.spec.template.metadata.labels).toMatchObject(spec.podSelector.matchLabels)
    for (const { spec } of of('HorizontalPodAutoscaler'))
      expect(spec.scaleTargetRef).toEqual({ apiVersion: 'apps/v1', kind: hub.kind, name: hub.metadata.name })
  })

  test('gives no pod root, a token, a writable root, or an image without a version', () => {
    for (const { spec } of workloads) {
      const pod = spec.template.spec
      expect(pod).toMatchObject({
        automountServiceAccountToken: false,
        securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } },
      })
      for (const container of pod.containers) {
        expect(container.securityContext).toEqual({
          ...{ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
        })
        expect(container.image).toMatch(/^gatehouse(:\d+\.\d+\.\d+|@sha256:[0-9a-f]{64})$/)
        expect(container.resources).toMatchObject({ requests: { memory: expect.any(String) }, limits: {} })
        const volumes = [...pod.volumes, ...(spec.volumeClaimTemplates ?? []).map(({ metadata }: Any) => metadata)]
        for (const { name } of container.volumeMounts) expect(volumes.map((each: Any) => each.name)).toContain(name)
      }
    }
  })

  test('lets no variable that Kubernetes names after a Service be a setting', () => {
    for (const { spec } of workloads) expect(spec.template.spec.enableServiceLinks).toBe(false)
    const env = { GATEHOUSE_SERVER_PORT: 'tcp://10.0.0.1:8000' }
    expect(() => loadConfig({ file: null, env, flags: {} })).toThrow()
  })

  test('asks /livez before restarts and /readyz before calls, and leaves time to drain', () => {
    for (const { spec } of of('StatefulSet', 'Deployment')) {
      const [container] = spec.template.spec.containers
      const paths = ['startupProbe', 'livenessProbe', 'readinessProbe'].map((probe) => container[probe].httpGet)
      const port = 'http'
      expect(paths).toEqual(['/livez', '/livez', '/readyz'].map((path) => ({ path, port })))
      expect(container.ports).toEqual([{ name: 'http', containerPort: 8000 }])
      // database.wait_tries × wait_interval_seconds, and some for migrations.
      const { periodSeconds, failureThreshold } = container.startupProbe
      expect(periodSeconds * failureThreshold).toBeGreaterThan(30 * 2)
      // preStop, server.drain_seconds, usage.flush_seconds.
      expect(spec.template.spec.terminationGracePeriodSeconds).toBeGreaterThan(5 + 30 + 5)
    }
  })

  test('one hub has a volume and no second replica; many have two at least, a budget and a migration', () => {
    for (const { spec } of of('StatefulSet')) {
      expect([spec.replicas, spec.volumeClaimTemplates.length]).toEqual([1, 1])
      expect(of('Deployment', 'HorizontalPodAutoscaler', 'Job')).toEqual([])
    }
    for (const { spec } of of('Deployment')) {
      expect(spec.replicas).toBeUndefined()
      expect(spec.strategy.rollingUpdate).toEqual({ maxUnavailable: 0, maxSurge: 1 })
      expect(of('HorizontalPodAutoscaler')[0].spec.minReplicas).toBeGreaterThanOrEqual(2)
      expect(of('PodDisruptionBudget')[0].spec.maxUnavailable).toBe(1)
      expect(of('Job')[0].spec.template.spec.containers[0].args).toEqual(['migrate', 'up'])
    }
    expect(of('NetworkPolicy')[0].spec.policyTypes).toEqual(['Ingress', 'Egress'])
  })
})

describe('the chart', () => {
  const schema = JSON.parse(read('helm/gatehouse/values.schema.json')) as Record<string, Json>
  const validate = new Ajv({ allErrors: true, strict: false }).compile(schema)
  const own = readDocuments('values', read('helm/gatehouse/values.yaml'))[0] as Record<string, Any>

  test('takes its own values', () => {
    validate(own)
    expect(validate.errors).toBeNull()
    // Every value that is there is described, so that a misspelt one is told.
    expect(Object.keys(schema.properties as object)).toEqual(expect.arrayContaining(Object.keys(own)))
  })

  test.each([
    ['another mode', { mode: 'both' }],
    ['a misspelt value', { replicaCount: 3 }],
    ['latest', { image: { repository: 'gatehouse', tag: 'latest' } }],
    ['a variable that is no setting of ours', { settings: { PATH: '/bin' } }],
    ['a number, which Helm would print as 3.3554432e+07', { settings: { GATEHOUSE_SERVER_MAX_BODY_BYTES: 33554432 } }],
    ['an ingress without a host', { ingress: { enabled: true, host: '' } }],
    ['no secret', { existingSecret: '' }],
  ])('refuses %s', (_what, values) => {
    expect(validate({ ...own, ...values })).toBe(false)
  })

  test('is of the version of the program', () => {
    const { version } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as { version: string }
    const { appVersion, version: of } = readDocuments('Chart', read('helm/gatehouse/Chart.yaml'))[0] as Any
    expect([appVersion, of]).toEqual([version, version])
    for (const file of files)
      for (const [, tag] of read(file).matchAll(/\bgatehouse:(\d+\.\d+\.\d+)/g))
        expect([file, tag]).toEqual([file, version])
  })

  test('hands the settings on, in quotes', () => {
    const [hub] = (renderChart(chart, everything) as Any[]).filter(({ kind }) => kind === 'Deployment')
    const [container] = hub.spec.template.spec.containers
    expect(container.env).toContainEqual({ name: 'LOG_LEVEL', value: 'warning' })
    expect(container.envFrom).toEqual([{ secretRef: { name: 'gatehouse' } }])
    expect(hub.spec.template.spec).toMatchObject({
      nodeSelector: { disk: 'ssd' },
      imagePullSecrets: [{ name: 'mine' }],
    })
  })

  test('the example of the secret has what the others ask of it', () => {
    const [secret] = readDocuments('secret', read('kubernetes/secret.example.yml')) as Any[]
    expect(Object.keys(secret.stringData)).toEqual(secretKeys)
    expect(Object.values(secret.stringData).join('')).toBe('')
  })
})
