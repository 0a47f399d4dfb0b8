import { expect, test } from 'vitest'
import { readRulesYaml } from './rules-yaml.ts'
import { readSettings } from './settings.ts'

/** As newapi-monitor ships it. */
const shipped = `
rules:
  burst:
    enabled: true
    window_sec: 60
    limit_per_token: 120
    description: "突发频率检测"
  multi_user_token: { enabled: true, users_threshold: 2, description: "共享令牌" }
  ip_many_users: { enabled: false, users_threshold: 5, description: "同IP多用户" }
  big_request: { enabled: true, sigma: 3, description: "大额请求" }
whitelist:
  ips: ["127.0.0.1", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]
  users: ["system", "admin"]
  tokens: [17]
alerts:
  cooldown_seconds: 300
  batch_threshold: 10
  templates: { burst: "🚨 {token_name} {request_count}" }
`

test("seed 000's rules.yaml is taken as it is", () => {
  const { change, ignored } = readRulesYaml(shipped)
  const { rules, allow } = readSettings(change)
  expect(rules.burst).toMatchObject({
    enabled: true,
    quiet_seconds: 300,
    params: { window_sec: 60, limit_per_token: 120 },
  })
  expect(rules.ip_many_users!.enabled).toBe(false)
  expect(rules.big_request!.params).toMatchObject({ sigma: 3, min_samples: 50 })
  expect(allow).toMatchObject({ users: ['system', 'admin'], tokens: ['17'] })
  expect(ignored).toEqual(['alerts.batch_threshold', 'alerts.templates'])
})

test('a rule that is missing is on', () => {
  expect(readSettings(readRulesYaml('rules: {}').change).rules.burst!.enabled).toBe(true)
  expect(readSettings(readRulesYaml('').change).rules.burst!.enabled).toBe(true)
})

test.each([
  ['rules: {burst: {limit: 3}}', /rules\.burst.*limit/],
  ['rules:\n  burst: [', /line/],
  ['whitelist: {ips: 5}', /whitelist\.ips/],
  ['alerts: {cooldown_seconds: soon}', /cooldown_seconds/],
])('%s is refused with the place', (text, message) => {
  expect(() => readRulesYaml(text)).toThrow(message)
})
