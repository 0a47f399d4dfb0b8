import { expect, test } from 'vitest'
import { accessConfig } from './config.ts'
import { createPublicPaths } from './public-paths.ts'

const isPublic = createPublicPaths(() => ['/api/mcp/*', '/api/weather/today'])

test('the ancestor’s whitelist of /api/v1/mcp/* also opened /api/v1/mcp_server: a pattern now ends at its segment', () => {
  for (const path of ['/api/mcp/tasks', '/api/mcp/a/b', '/api/mcp/%E4%BD%A0']) expect(isPublic(path)).toBe(true)
  for (const path of ['/api/mcp', '/api/mcp_server', '/api/mcp_tools', '/api/mcp_user_config/x', '/api/MCP/x'])
    expect(isPublic(path)).toBe(false)
})

test.each(['/*', '*', '/api/*', '/api/**', '/api/mcp*', '/api/mcp/*/x', '/api/../users', '/v1/*', 'api/x', '/metrics'])(
  'the ancestor took %s and opened everything below it: now it stops the start',
  (pattern) => {
    const read = accessConfig.safeParse({ public_paths: [pattern] })
    expect(read.success).toBe(false)
  },
)

test.each([
  ...['/api/mcp/../users', '/api/mcp/%2e%2e/users', '/api/mcp/..%2fusers', '/api/mcp/a%5c..', '/api/mcp//x'],
  ...['/api/mcp/x;y', '/api/mcp/%00', '/api/mcp/%252e', '/api/mcp/\\x', '/api/mcp/%', '/api/mcp/.'],
])('%s may be read in two ways and is therefore not public', (path) => {
  expect(isPublic(path)).toBe(false)
})

test('without patterns nothing is public', () => {
  expect(createPublicPaths(() => [])('/api/mcp/x')).toBe(false)
})
