import { createDemo, type Demo } from '../../demo/index.ts'
import { openSyntheticProviders } from '../../gateway/index.ts'
import { systemClock } from '../../kernel/clock.ts'
import { openSyntheticServices } from '../../services/index.ts'
import { openSyntheticUsage } from '../../usage/index.ts'
import { type Call, type Command, configOptions, type ExitCode, exitCodes } from '../command.ts'
import { printJson } from '../report.ts'
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
      summary: { en: 'Remove everything synthetic', zh: '移除全部模拟数据' },
      options: configOptions,
      run: (call) => run(call, (all) => all.remove(), 'synthetic requests removed · 条模拟请求已移除'),
    },
  ],
}

function run(call: Call, act: (demo: Demo, hubUrl: string) => Promise<number>, outcome: string): Promise<ExitCode> {
  return withPlatform(call, async ({ database: { kysely: db } }, { server }) => {
    const parts = { db, clock: systemClock }
    const all = createDemo({
      clock: systemClock,
      providers: openSyntheticProviders(parts),
      services: openSyntheticServices(parts),
      usage: openSyntheticUsage(parts),
    })
    const count = await act(all, `http://127.0.0.1:${server.port}`)
    if (call.json) printJson(call.terminal, { requests: count })
    else call.terminal.out(`${count} ${outcome}`)
    return exitCodes.ok
  })
}
