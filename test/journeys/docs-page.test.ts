import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { startHub } from '../harness/hub.ts'
import { installPackage } from '../harness/install.ts'

const find = () =>
  [process.env.GATEHOUSE_TEST_CHROMIUM, '/usr/bin/chromium', '/usr/bin/google-chrome'].find(
    (path) => path !== undefined && existsSync(path),
  )
if (find() === undefined) {
  try {
    installPackage('chromium')
  } catch (error) {
    if (process.env.CI === 'true') throw error
  }
}
const chromium = find()

/** What a real browser makes of a page: its elements after its scripts have run, and what its console says. */
async function browse(url: string): Promise<{ dom: string; console: string[] }> {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-chromium-'))
  const options = [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-dev-shm-usage',
    `--user-data-dir=${folder}`,
  ]
  const heard = ['--enable-logging=stderr', '--v=0', '--virtual-time-budget=15000', '--dump-dom', url]
  try {
    const limits = { maxBuffer: 64 * 1024 * 1024, timeout: 60_000 }
    const { stdout, stderr } = await promisify(execFile)(chromium!, [...options, ...heard], limits)
    const said = [...stderr.matchAll(/:CONSOLE[:(]\d+\)?\] "(.*?)", source:/g)].map(([, text]) => text!)
    return { dom: stdout, console: said }
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** A browser shares its machine with everybody: this ends one that hangs, and measures nothing. */
const patienceMs = 120_000
const withBrowser = chromium === undefined ? test.skip : test

withBrowser(
  'the API reference is drawn in a real browser under its content policy, and its console has nothing to complain of',
  async () => {
    const hub = await startHub()
    onTestFinished(() => hub.stop())
    const { dom, console } = await browse(`${hub.url}/docs/`)
    // Scalar greets with its version.
    expect(console.filter((line) => !/^@scalar\/api-reference@[\d.]+$/.test(line))).toEqual([])
    expect(dom).toContain('<title>Gatehouse API')
    // Of the document, not of the page: it was fetched, read and drawn.
    for (const name of ['health', 'auth', 'keys']) expect(dom).toMatch(new RegExp(`id="[^"]*tag/${name}`))
  },
)

withBrowser(
  'what a policy forbids is heard of: the same look at a page that breaks its own',
  async () => {
    const server = createServer((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/html', 'content-security-policy': "default-src 'none'" })
      response.end('<title>x</title><script>document.title = "ran"</script>')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const { dom, console } = await browse(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    expect(dom).toContain('<title>x</title>')
    expect(console.join()).toMatch(/Content Security Policy/)
  },
  patienceMs,
)
