import { join, resolve } from 'node:path'
import { checkFolderUse } from '../../platform/data-folder.ts'
import {
  listLeftovers,
  makeOwnersOnly,
  makeOwnFolder,
  readMode,
  removeLeftover,
} from '../../platform/diagnose/machine.ts'
import { masterKeyPath } from '../../platform/secrets.ts'
import { bad, defineFinding, ok, skip, warn } from '../finding.ts'

const unset = skip('the data folder is not known')

export const dataFolderMissing = defineFinding({
  id: 'data_folder_missing',
  area: 'machine',
  severity: 'minor',
  run({ settings }) {
    if (settings === null) return unset
    const path = resolve(settings.data.dir)
    if (readMode(path) !== null) return ok(`${path} is there`)
    if (checkFolderUse(path, false) !== null) return skip('it cannot be made: see data_folder_unusable')
    return warn(
      path,
      {
        en: `There is no data folder ${path}: nothing was started here yet, or data.dir names another place than before.`,
        zh: `数据目录 ${path} 不存在：尚未启动过，或 data.dir 与之前不同。`,
      },
      {
        en: 'Look at data.dir and the working directory. The first start makes it, and so does --fix.',
        zh: '请检查 data.dir 与工作目录。首次启动会创建该目录，也可用 --fix 创建。',
      },
      [
        {
          what: { en: `make ${path} for its owner alone`, zh: `创建仅属主可用的 ${path}` },
          undo: { kind: 'remove_folder', path },
          apply: () => makeOwnFolder(path),
        },
      ],
    )
  },
})

export const dataFolderUnusable = defineFinding({
  id: 'data_folder_unusable',
  area: 'machine',
  severity: 'critical',
  run({ settings }) {
    if (settings === null) return unset
    const trouble = checkFolderUse(settings.data.dir, false)
    if (trouble === null) return ok(`files can be written and read in ${resolve(settings.data.dir)}`)
    const { blocker, reason, runningAs, path } = trouble
    return bad(
      `${reason}; ${blocker.path} is a ${blocker.kind} of ${blocker.owner} with mode ${blocker.mode}; we are ${runningAs}`,
      {
        en: `The data folder ${path} cannot be used: ${blocker.path} does not let us.`,
        zh: `无法使用数据目录 ${path}：受 ${blocker.path} 限制。`,
      },
      blocker.kind === 'file'
        ? {
            en: `Move the file ${blocker.path} away, or set data.dir to another folder.`,
            zh: `请移走文件 ${blocker.path}，或更改 data.dir。`,
          }
        : {
            en: `chown -R USER ${blocker.path} and chmod 700, or set data.dir to a folder of that user.`,
            zh: `请执行 chown -R 用户 ${blocker.path} 与 chmod 700，或将 data.dir 设为该用户的目录。`,
          },
    )
  },
})

export const dataFolderOpen = defineFinding({
  id: 'data_folder_open',
  area: 'machine',
  severity: 'major',
  run({ settings }) {
    if (settings === null) return unset
    return judgeMode(resolve(settings.data.dir), 'The data folder', '数据目录')
  },
})

export const secretKeyOpen = defineFinding({
  id: 'secret_key_open',
  area: 'secrets',
  severity: 'critical',
  run({ settings, env }) {
    if (settings === null) return unset
    if (env.GATEHOUSE_SECRET_KEY) return skip('the master key comes from GATEHOUSE_SECRET_KEY')
    return judgeMode(resolve(masterKeyPath(settings.data.dir)), 'The master key', '主密钥')
  },
})

function judgeMode(path: string, en: string, zh: string) {
  const found = readMode(path)
  if (found === null) return skip(`there is no ${path}`)
  const mode = found.mode.toString(8).padStart(4, '0')
  if ((found.mode & 0o077) === 0) return ok(`${path} has mode ${mode}`)
  return (found.isFolder ? warn : bad)(
    `${path} has mode ${mode}`,
    { en: `${en} can be read by others than its owner.`, zh: `${zh}可被属主以外的用户访问。` },
    { en: `chmod go= ${path}; --fix does it.`, zh: `执行 chmod go= ${path}，或使用 --fix。` },
    [
      {
        what: { en: `chmod go= ${path}`, zh: `chmod go= ${path}` },
        undo: { kind: 'mode', path, mode: found.mode },
        apply: () => makeOwnersOnly(path),
      },
    ],
  )
}

export const leftovers = defineFinding({
  id: 'leftovers',
  area: 'machine',
  severity: 'minor',
  run({ settings }) {
    if (settings === null) return unset
    const { dir } = settings.data
    const found = [dir, join(dir, 'journal'), join(dir, 'backups')].flatMap((folder) => listLeftovers(resolve(folder)))
    if (found.length === 0) return ok('no half-written file of a dead process lies around')
    return warn(
      found.slice(0, 5).join(', '),
      {
        en: `${found.length} files were left half written by processes that are gone.`,
        zh: `有 ${found.length} 个由已退出进程遗留的未完成文件。`,
      },
      { en: 'They are of no use: --fix removes them.', zh: '可安全删除，使用 --fix 即可。' },
      // Half of a file whose writer is dead: whoever needed it has written it anew since.
      found.map((path) => ({
        what: { en: `remove ${path}`, zh: `删除 ${path}` },
        undo: null,
        apply: () => removeLeftover(path),
      })),
    )
  },
})
