import { z } from 'zod'
import { fail } from '../../kernel/errors.ts'
import { type At, defineAction } from './action.ts'

const parameters = z.strictObject({
  collector: z.string().min(1).max(100).describe('Its name, as in gatehouse_collector_up.'),
})

function assertThere({ levers, parameters: { collector } }: At & { parameters: z.output<typeof parameters> }): void {
  const known = levers.collectors()
  if (known.includes(collector)) return
  throw fail('not_found', `there is no collector ${collector} on this node; there are ${known.join(', ')}`, {
    param: 'parameters.collector',
  })
}

export const collectorRestart = defineAction({
  name: 'collector_restart',
  title: { en: 'Restart a collector', zh: '重启采集器' },
  access: 'super_admin',
  runbooks: ['CollectorDown'],
  parameters,
  suggest: ({ collector }) => (collector === undefined ? null : { collector }),
  async plan(at) {
    assertThere(at)
    const { collector } = at.parameters
    return {
      target: collector,
      will: {
        en: `The collector ${collector} of the node that is asked closes its connections, forgets what hangs, and reads once.`,
        zh: `本节点的采集器 ${collector} 将关闭连接、放弃挂起的读取，并重新读取一次。`,
      },
      undo: null,
      before: {},
    }
  },
  async run(at) {
    assertThere(at)
    await at.levers.restartCollector(at.parameters.collector)
  },
  undo: async () => 'changed_meanwhile',
})
