import { createDemo, type Demo } from '../../demo/index.ts'
import { openSyntheticProviders } from '../../gateway/index.ts'
import { systemClock } from '../../kernel/clock.ts'
import type { Log } from '../../platform/log.ts'
import { openSyntheticServices } from '../../services/index.ts'
import { openSyntheticUsage } from '../../usage/index.ts'
import { keepBefore } from '../../wiring/migration-snapshot.ts'
import { type Call, type Command, configOptions, type ExitCode, exitCodes } from '../command.ts'
import { printJson } from '../report.ts'
import { loadFor } from '../settings.ts'
import { withPlatform } from '../store.ts'

/** What `serve --demo` adds, without a restart: a running hub follows within seconds. */
export const demo: Command = {
  name: 'demo',
  summary: {
    en: 'Add or remove the demo provider, its plugin and its synthetic traffic',
    zh: '加入或移除演示上游、演示插件与模拟流量',
  },
  commands: [
    {
      name: 'load',
      summary: { en: 'Add what --demo adds', zh: '加入 --demo 的全部内容' },
      options: configOptions,
      run: (call) => run(call, (all, hubUrl) => all.load(hubUrl), 'synthetic requests added · 条模拟请求已加入'),
    },
    {
      name: 'remove',
      summary: { en: 'Remove everything synthetic, after a backup', zh: '备份后移除全部模拟数据' },
      options: [...configOptions, { flags: '--no-backup', summary: { en: 'Without a backup', zh: '不备份' } }],
      run: (call) => run(call, (all) => all.remove(), 'synthetic requests removed · 条模拟请求已移除', true),
    },
  ],
}

function run(
  call: Call,
  act: (demo: Demo, hubUrl: string) => Promise<number>,
  outcome: string,
  deletes = false,
): Promise<ExitCode> {
  return withPlatform(call, async ({ database: { kysely: db }, log }, { server }) => {
    const parts = { db, clock: systemClock }
    const all = createDemo({
      clock: systemClock,
      providers: openSyntheticProviders(parts),
      services: openSyntheticServices(parts),
      usage: openSyntheticUsage(parts),
    })
    const kept = deletes && call.options.backup !== false ? await keep(call, log) : null
    const count = await act(all, `http://127.0.0.1:${server.port}`)
    if (call.json) printJson(call.terminal, { requests: count, ...(deletes ? { backup: kept } : {}) })
    else {
      if (kept !== null) call.terminal.out(`Kept as ${kept} · 已备份为 ${kept}`)
      call.terminal.out(`${count} ${outcome}`)
    }
    return exitCodes.ok
  })
}

function keep(call: Call, log: Log): Promise<string> {
  const secretKey = call.terminal.env.GATEHOUSE_SECRET_KEY ?? ''
  return keepBefore(loadFor(call), { secretKey, version: call.version, log, what: 'what is synthetic was removed' })
}
