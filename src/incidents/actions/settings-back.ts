import { z } from 'zod'
import { fail } from '../../kernel/errors.ts'
import { type At, defineAction, type SettingsRevision } from './action.ts'

const parameters = z.strictObject({
  revision: z.string().min(1).max(64).describe('Id of the settings that are taken back: the newest of this node.'),
})
type Own = At & { parameters: z.output<typeof parameters> }

/** What this node runs with, and what it ran with before the settings that are taken back. */
async function find({ levers, parameters: { revision } }: Own) {
  const all = (await levers.settings()).filter(({ isTakenBack }) => !isTakenBack)
  const index = all.findIndex(({ id }) => id === revision)
  if (index === -1) {
    throw fail(
      'not_found',
      `this node runs with no settings ${revision}: ask the node that does, or look at its revisions`,
      {
        param: 'parameters.revision',
      },
    )
  }
  return { newest: all[0]!, taken: all[index]!, before: all[index + 1] }
}

const isBack = (newest: SettingsRevision, taken: SettingsRevision) =>
  newest.origin === 'rollback' && newest.at >= taken.at && newest.id !== taken.id

/** The file of this node as it was before somebody changed it: an incident that begins after a change mostly is of it. */
export const settingsBack = defineAction({
  name: 'settings_back',
  title: { en: 'Take the last change of settings back', zh: '回滚最近一次配置变更' },
  access: 'super_admin',
  runbooks: ['cannot_start', 'performance', 'HighErrorRate', 'SlowResponses'],
  parameters,
  suggest(_cause, suspects) {
    const change = suspects.find(({ kind, target }) => kind === 'config' && target.startsWith('rev_'))
    return change === undefined ? null : { revision: change.target }
  },
  async plan(at) {
    const { newest, taken, before } = await find(at)
    if (newest.id !== taken.id) {
      throw fail('conflict', `other settings came after ${taken.id}: take ${newest.id} back first`, {
        param: 'parameters.revision',
      })
    }
    if (before === undefined) {
      throw fail('conflict', `nothing is kept of what this node ran with before ${taken.id}`, {
        param: 'parameters.revision',
      })
    }
    const names = taken.names.slice(0, 20).join(', ')
    return {
      target: `${taken.id} (${taken.by})`,
      will: {
        en: `The file is written as it was before ${taken.id} and taken over on this node; this changes ${names}. What only a start takes over waits for one.`,
        zh: `将本节点的配置文件恢复为 ${taken.id} 之前的内容并立即生效，涉及：${names}。需重启生效的项等待下次启动。`,
      },
      undo: {
        en: `The settings ${taken.id} are written again and taken over.`,
        zh: `重新写入并启用配置 ${taken.id}。`,
      },
      before: { current: taken.id, previous: before.id },
    }
  },
  async run(at) {
    const { newest, taken, before } = await find(at)
    if (isBack(newest, taken)) return
    if (newest.id !== taken.id || before === undefined) {
      throw fail('conflict', `other settings came after ${taken.id} meanwhile: nothing was changed`)
    }
    await at.levers.rollSettingsBackTo(before.id)
  },
  async undo(at) {
    const { newest, taken } = await find(at)
    if (newest.id === taken.id) return 'restored'
    if (!isBack(newest, taken)) return 'changed_meanwhile'
    await at.levers.rollSettingsBackTo(taken.id)
    return 'restored'
  },
})
