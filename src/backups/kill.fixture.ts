/**
 * A process that takes or restores a backup, for tests that kill it: `<verb> <store> <folder> <id> <wrap key in hex> <backups>`; or
 * copies a store, and stands still in the table backup_runs: `copy <from> <folder> <to> <after so many rows>`.
 */
// First: what follows shall hold its functions, and not those of Node.

import { writeSync } from 'node:fs'
import { migrations } from '../migrations/index.ts'
import { silentLog } from '../platform/database/testing-log.ts'
import { killPoints } from './kill-points.fixture.ts'
import { restore } from './restore.ts'
import { copyStore } from './store-copy.ts'
import { createGauge, load, take } from './work.ts'

const [verb, url = '', folder = '', id = '', wrap = '', backups = ''] = process.argv.slice(2)
const own = { keyId: 'feedbeef', wrap: Buffer.from(wrap, 'hex') }
const place = { kind: 'folder', path: backups } as const
const address = { url, dataDir: folder }
if (verb !== 'copy') process.stdout.write('begun\n')
if (verb === 'copy') {
  await copyStore({
    ...{ from: address, to: { url: id, dataDir: folder }, migrations, version: '1.2.3', log: silentLog },
    ...{ replaces: false, stamp: 'x', signal: new AbortController().signal, now: Date.now },
    onProgress({ table, rows }) {
      if (table !== 'backup_runs' || rows < Number(wrap)) return
      writeSync(1, 'held\n')
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
    },
  })
} else if (verb === 'take') {
  killPoints.arm()
  await take({
    ...{ id, kind: 'full', baseId: '', address, place, own, recoveryKey: '', version: '1.2.3', files: [] },
    ...{ sentinel: '', gauge: createGauge() },
  })
} else {
  await restore({
    ...{ address, place, id, keys: { own, recoverySecret: null }, migrations, log: silentLog, version: '1.2.3' },
    ...{ allowOlder: false, besideName: 'restoring', gauge: createGauge(), dataDir: folder },
    ...{ hubKeyId: 'feedbeef', stamp: `${Date.now()}` },
    // What comes before only fills what is beside: the exchange is what matters.
    async load(wish) {
      const loaded = await load(wish)
      killPoints.arm()
      return loaded
    },
  })
}
killPoints.disarm()
process.stdout.write(`done ${JSON.stringify(killPoints.trace)}\n`)
