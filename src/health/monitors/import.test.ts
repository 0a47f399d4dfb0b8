import { describe, expect, test } from 'vitest'
import { readForeign } from './import.ts'

const kuma = JSON.stringify({
  version: '1.23.11',
  monitorList: [
    {
      id: 1,
      name: 'Shop',
      type: 'http',
      url: 'https://shop.example.com/',
      method: 'GET',
      interval: 60,
      retryInterval: 20,
      maxretries: 2,
      active: true,
      accepted_statuscodes: ['200-299', '401'],
      maxredirects: 5,
      headers: '{"x-a":"b"}',
      timeout: 48,
      ignoreTls: true,
      notificationIDList: { 1: true },
    },
    {
      id: 2,
      name: 'Word',
      type: 'keyword',
      url: 'https://a.example.com/',
      keyword: 'all (good)',
      invertKeyword: false,
      interval: 60,
      authMethod: 'basic',
      basic_auth_user: 'me',
      basic_auth_pass: 'hunter22',
      accepted_statuscodes: ['200-299'],
    },
    {
      id: 3,
      name: 'Json',
      type: 'json-query',
      url: 'https://a.example.com/',
      jsonPath: 'queue.length',
      expectedValue: '5',
      interval: 60,
    },
    { id: 4, name: 'Port', type: 'port', hostname: 'db.example.com', port: 5432, interval: 1, active: 0, parent: 1 },
    {
      id: 5,
      name: 'Name',
      type: 'dns',
      hostname: 'example.com',
      dns_resolve_type: 'MX',
      dns_resolve_server: '1.1.1.1',
      port: 53,
      interval: 60,
    },
    { id: 6, name: 'Nightly', type: 'push', pushToken: 'abcDEF123', interval: 86_400 },
    {
      id: 7,
      name: 'Pg',
      type: 'postgres',
      databaseConnectionString: 'postgres://u:p%40ss@db:5433/shop',
      databaseQuery: 'select 1',
      interval: 60,
    },
    { id: 8, name: 'Ping', type: 'ping', hostname: 'x', interval: 60 },
    { id: 9, name: 'Empty', type: 'http', url: '', interval: 60 },
  ],
})

const gatus = `
alerting:
  slack: {webhook-url: "https://hooks"}
maintenance: {start: "23:00", duration: 1h, timezone: Asia/Shanghai, every: [Monday, Sunday]}
endpoints:
  - name: site
    group: core
    url: "https://site.example.com/health"
    interval: 5m
    client: {timeout: 3s}
    alerts: [{type: slack, failure-threshold: 5, success-threshold: 3}]
    conditions:
      - "[STATUS] == any(200, 204)"
      - "[BODY].status == UP"
      - "[BODY].queue < 5"
      - "[RESPONSE_TIME] < 300"
  - name: db
    url: "tcp://db:5432"
    conditions: ["[CONNECTED] == true"]
  - name: dns
    url: 8.8.8.8
    dns: {query-name: example.com, query-type: A}
    conditions: ["[BODY] == 93.184.215.14", "[DNS_RCODE] == NOERROR"]
  - name: cert
    url: "tls://a.example.com:443"
    conditions: ["[CERTIFICATE_EXPIRATION] > 48h"]
  - name: ping
    url: "icmp://a.example.com"
external-endpoints:
  - {name: job, token: secret-token, heartbeat: {interval: 30m}}
`

describe("Uptime Kuma's backup", () => {
  const { from, checks, notes } = readForeign(kuma)
  const of = (name: string) => checks.find(({ wish }) => wish.name === name)

  test('becomes checks with the same times, statuses, words and tokens', () => {
    expect(from).toBe('uptime-kuma')
    expect(checks.map(({ wish }) => [wish.name, wish.type])).toEqual([
      ...[
        ['Shop', 'http'],
        ['Word', 'http'],
        ['Json', 'http'],
        ['Port', 'tcp'],
        ['Name', 'dns'],
        ['Nightly', 'push'],
        ['Pg', 'postgres'],
      ],
    ])
    expect(of('Shop')!.wish).toMatchObject({
      interval_seconds: 60,
      retry_interval_seconds: 20,
      timeout_seconds: 48,
      failures: 3,
      successes: 1,
      parameters: { status: ['2xx', '401'], request_headers: { 'x-a': 'b' }, max_redirects: 5 },
    })
    expect(of('Word')!.wish.parameters).toMatchObject({
      body: 'all \\(good\\)',
      request_headers: { authorization: `Basic ${btoa('me:hunter22')}` },
    })
    expect(of('Json')!.wish.parameters).toMatchObject({ json: [{ path: '$.queue.length', is: 'equal', value: 5 }] })
    expect(of('Port')).toMatchObject({ wish: { enabled: false, interval_seconds: 5 }, dependsOn: ['Shop'] })
    expect(of('Nightly')!.pushToken).toBe('abcDEF123')
    expect(of('Pg')!.wish.parameters).toMatchObject({
      host: 'db',
      port: 5433,
      user: 'u',
      password: 'p@ss',
      database: 'shop',
    })
  })

  test('what was not understood is told by name', () => {
    const told = notes.map(({ check, note }) => `${check}: ${note}`)
    expect(told).toContainEqual(expect.stringMatching(/^Ping: the type ping is not known/))
    expect(told).toContainEqual(expect.stringMatching(/^Shop: ignoreTls/))
    expect(told).toContainEqual(expect.stringMatching(/^Shop: its notifications/))
    expect(told).toContainEqual(expect.stringMatching(/^Empty: left out: parameters.url/))
    expect(told.join()).not.toContain('hunter22')
  })
})

describe("Gatus' configuration", () => {
  const { from, checks, notes } = readForeign(gatus)
  const of = (name: string) => checks.find(({ wish }) => wish.name === name)

  test('becomes checks with their conditions, thresholds and maintenance', () => {
    expect(from).toBe('gatus')
    expect(of('core / site')!.wish).toMatchObject({
      ...{ interval_seconds: 300, timeout_seconds: 3, failures: 5, successes: 3 },
      windows: [{ kind: 'cron', cron: '00 23 * * 1,0'.replace('00', '0'), zone: 'Asia/Shanghai', minutes: 60 }],
      parameters: {
        status: ['200', '204'],
        json: [
          { path: '$.status', is: 'equal', value: 'UP' },
          { path: '$.queue', is: 'less', value: 5 },
        ],
      },
    })
    expect(of('db')!.wish).toMatchObject({ type: 'tcp', parameters: { host: 'db', port: 5432 } })
    expect(of('dns')!.wish.parameters).toMatchObject({
      name: 'example.com',
      record_type: 'A',
      server: '8.8.8.8',
      expected: ['93.184.215.14'],
    })
    expect(of('cert')!.wish.parameters).toMatchObject({ host: 'a.example.com', fail_days: 2 })
    expect(of('job')).toMatchObject({
      pushToken: 'secret-token',
      wish: { type: 'push', parameters: { every_seconds: 1800 } },
    })
  })

  test('what was not understood is told by name', () => {
    const told = notes.map(({ check, note }) => `${check}: ${note}`)
    expect(told).toContainEqual(': the section alerting is left out')
    expect(told).toContainEqual('core / site: the condition [RESPONSE_TIME] < 300 is left out')
    expect(told).toContainEqual(expect.stringMatching(/^ping: addresses like icmp/))
  })
})

test('what is neither is refused, and a bomb of aliases too', () => {
  expect(() => readForeign('hello: world')).toThrow(/neither/)
  expect(() => readForeign('{broken')).toThrow(/JSON/)
  const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\n${'bcdefgh'
    .split('')
    .map((name, i) => `${name}: &${name} [${Array(9).fill(`*${'abcdefgh'[i]}`).join(',')}]`)
    .join('\n')}\nendpoints: *h`
  expect(() => readForeign(bomb)).toThrow(/YAML/)
})
