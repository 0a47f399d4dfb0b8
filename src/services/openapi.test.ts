import { describe, expect, test } from 'vitest'
import { engines } from '../platform/database/testing.ts'
import { ask, demoManifest, openRegistryNode, registerNew, startPlugin } from './testing.ts'

const first = {
  openapi: '3.1.0',
  info: { title: 'Demo', version: '1.0.0' },
  paths: { '/items': { get: {} }, '/old': { get: {} } },
}
const second = { openapi: '3.1.0', info: { title: 'Demo', version: '2.0.0' }, paths: { '/items': { get: {} } } }

describe.each(engines())('OpenAPI documents of plugins on $name', ({ address }) => {
  test('one is fetched when a plugin registers, shown, and compared with the next', async () => {
    let document: object = first
    const plugin = await startPlugin((path) => (path === '/openapi.json' ? JSON.stringify(document) : 404))
    const node = await openRegistryNode(await address())
    const manifest = demoManifest({ port: plugin.port, openapi: '/openapi.json' })
    const { token } = await registerNew(node, manifest)
    await node.services.idle()
    const shown = await ask(node, 'GET', '/api/registry/services/demo-service/openapi', 'acme-user')
    expect([shown.status, shown.body]).toEqual([200, first])
    expect((await ask(node, 'GET', '/api/registry/services/demo-service/openapi', 'other-user')).status).toBe(404)
    document = second
    await ask(node, 'POST', '/api/registry/register', token, { ...manifest, version: '2.0.0' })
    await node.services.idle()
    const service = (await ask(node, 'GET', '/api/registry/services/demo-service')).body
    expect(service.warnings).toEqual(['/old was removed'])
    expect(node.heard.filter(({ name }) => name === 'service.openapi.broke').map(({ news }) => news)).toEqual([
      { service: 'demo-service', tenantId: 'acme', version: '2.0.0', breaks: ['/old was removed'] },
    ])
    expect((await ask(node, 'GET', '/api/registry/services/demo-service/openapi')).body).toEqual(second)
  })

  test.each<[string, () => string | number, string]>([
    ['none', () => 404, 'answered 404'],
    ['no JSON', () => '<html>', 'is not JSON'],
    ['another document', () => '{"swagger":"2.0"}', 'no member "openapi"'],
    ['too large a one', () => JSON.stringify({ ...first, filler: 'x'.repeat(2000) }), '1024 bytes'],
  ])('%s is a warning of the service and nothing worse', async (_what, answer, told) => {
    const plugin = await startPlugin(answer)
    const node = await openRegistryNode(await address(), { config: { openapi_max_bytes: 1024 } })
    await registerNew(node, demoManifest({ port: plugin.port, openapi: 'openapi.json' }))
    await node.services.idle()
    const service = (await ask(node, 'GET', '/api/registry/services/demo-service')).body
    expect([service.is_active, service.warnings]).toEqual([true, [expect.stringContaining(told)]])
    const document = await ask(node, 'GET', '/api/registry/services/demo-service/openapi')
    expect([document.status, document.body.detail]).toEqual([404, expect.stringContaining(told)])
  })
})
