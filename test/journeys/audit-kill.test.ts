import { afterEach, describe, expect, test } from 'vitest'
import { engines } from '../../src/platform/database/testing.ts'
import { until } from '../harness/control.ts'
import { type ProcessHub, startProcessHub } from '../harness/process-hub.ts'

const hubs: ProcessHub[] = []
afterEach(async () => {
  for (const hub of hubs.splice(0)) await hub.destroy()
})

const kills = 4
const masterKey = Buffer.alloc(32, 9).toString('base64')

async function start(databaseUrl: string): Promise<ProcessHub> {
  const hub = await startProcessHub({ env: { DATABASE_URL: databaseUrl, GATEHOUSE_SECRET_KEY: masterKey } })
  hubs.push(hub)
  return hub
}

/** What a key's text is answered with at the list of models. */
async function statusOf(hub: ProcessHub, text: string): Promise<number> {
  const response = await fetch(`${hub.url()}/v1/models`, { headers: { authorization: `Bearer ${text}` } })
  await response.arrayBuffer()
  return response.status
}

type Row = { action: string; target: string; outcome: string }

async function readAudit(hub: ProcessHub): Promise<Row[]> {
  const rows: Row[] = []
  for (let cursor = ''; ; ) {
    const page = await hub.admin('GET', `/api/audit?action=keys.*&limit=200${cursor && `&cursor=${cursor}`}`)
    rows.push(...page.data)
    if (page.next_cursor === null) return rows
    cursor = page.next_cursor
  }
}

describe.each(engines())('kill -9 while keys are changed, on $name', ({ address }) => {
  test('what was answered is done and audited, what was not is visible, and the chain is whole', async () => {
    const hub = await start(await address())
    const ended: string[] = []
    const working = new Map<string, string>()
    const done: { action: string; target: string }[] = []
    // A key whose rotation was cut off may have either text: nobody was told.
    const uncertain = new Set<string>()
    let cut = 0

    for (let round = 0; round < kills; round++) {
      let isOver = false
      const worker = async () => {
        while (!isOver) {
          let id = ''
          try {
            const made = await hub.createKey()
            id = made.id
            done.push({ action: 'keys.create', target: id })
            working.set(id, made.key)
            uncertain.add(id)
            const { key } = await hub.admin('POST', `/api/keys/${id}/rotate`, { grace_seconds: 0 })
            done.push({ action: 'keys.rotate', target: id })
            uncertain.delete(id)
            ended.push(made.key)
            working.set(id, key)
          } catch {
            cut++
            isOver = true
          }
        }
      }
      const workers = [1, 2, 3, 4].map(worker)
      const before = done.length
      await until('keys were changed', () => done.length > before + 10)
      await hub.kill('SIGKILL')
      await Promise.all(workers)
      await hub.restart()
    }

    expect(cut).toBeGreaterThanOrEqual(kills)
    for (const text of ended) expect(await statusOf(hub, text)).toBe(401)
    for (const [id, text] of working) if (!uncertain.has(id)) expect(await statusOf(hub, text)).toBe(200)
    const rows = await readAudit(hub)
    for (const { action, target } of done) {
      expect(rows).toContainEqual(expect.objectContaining({ action, target, outcome: 'done' }))
    }
    expect(new Set(rows.map(({ outcome }) => outcome))).not.toContain('failed')
    expect(await hub.admin('GET', '/api/audit/verify')).toMatchObject({ ok: true, first_break: null })
  })

  test('a node that another one tells nothing refuses an ended text soon, and both append to one chain', async () => {
    const url = await address()
    const [here, there] = [await start(url), await start(url)]
    const { id, key } = await here.createKey()
    const account = await here.admin('POST', '/api/service-accounts', { name: 'nightly' })
    const { key: ofAccount } = await here.createKey({ service_account_id: account.id })
    expect([await statusOf(there, key), await statusOf(there, ofAccount)]).toEqual([200, 200])

    const { key: next } = await here.admin('POST', `/api/keys/${id}/rotate`)
    await here.admin('PATCH', `/api/service-accounts/${account.id}`, { enabled: false })
    expect([await statusOf(here, key), await statusOf(here, ofAccount)]).toEqual([401, 401])
    await until('the other node refuses both', async () => {
      return (await statusOf(there, key)) === 401 && (await statusOf(there, ofAccount)) === 401
    })
    expect(await statusOf(there, next)).toBe(200)

    await Promise.all([here, there].flatMap((hub) => Array.from({ length: 10 }, () => hub.createKey())))
    for (const hub of [here, there]) expect(await hub.admin('GET', '/api/audit/verify')).toMatchObject({ ok: true })
  })
})
