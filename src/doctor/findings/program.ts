import { listEntryFaults, listMissingPackages, makeExecutable } from '../../platform/diagnose/machine.ts'
import { bad, defineFinding, ok } from '../finding.ts'

export const runtimeOld = defineFinding({
  id: 'runtime_old',
  area: 'program',
  severity: 'critical',
  run: () => judgeRuntime(process.versions.node),
})

/** Types are stripped without a flag from 22.18 on; 22.19 has what the embedded store needs. */
export function judgeRuntime(version: string) {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const isNewEnough = major > 23 || (major === 22 && minor >= 19) || (major === 23 && minor >= 6)
  if (isNewEnough) return ok(`Node ${version}`)
  return bad(
    `Node ${version}`,
    {
      en: `Node ${version} is too old: 22.19 or newer is needed.`,
      zh: `Node ${version} 版本过低：需要 22.19 或更高。`,
    },
    {
      en: 'Run npm ci, which brings a Node along, or install Node 24.',
      zh: '运行 npm ci（会附带 Node），或安装 Node 24。',
    },
  )
}

export const dependencyMissing = defineFinding({
  id: 'dependency_missing',
  area: 'program',
  severity: 'critical',
  run({ packages }) {
    const missing = listMissingPackages(packages)
    if (missing.length === 0) return ok(`${packages.length} packages are there`)
    const names = missing.map(({ name }) => name).join(', ')
    return bad(
      missing.map(({ name, reason }) => `${name}: ${reason}`).join('; '),
      { en: `Packages that the hub needs are missing: ${names}.`, zh: `缺少依赖包：${names}。` },
      { en: 'Run npm ci in the folder of the hub.', zh: '请在程序目录运行 npm ci。' },
    )
  },
})

/** Seed 001's problem 3: what starts the hub may not be run. */
export const entryPoints = defineFinding({
  id: 'entry_points',
  area: 'program',
  severity: 'major',
  run: ({ programFolder }) => {
    const found = listEntryFaults(programFolder)
    if (found.length === 0) return ok('what starts the hub can be read and run')
    return bad(
      found.map(({ path, mode }) => `${path} has mode ${mode}`).join('; '),
      { en: 'What starts the hub may not be read or run by this user.', zh: '当前用户无权读取或执行启动文件。' },
      {
        en: `chmod a+rx ${found.map(({ path }) => path).join(' ')}, or --fix; in an image, before it is built.`,
        zh: `执行 chmod a+rx ${found.map(({ path }) => path).join(' ')}，或使用 --fix；镜像请在构建前修改。`,
      },
      found.map(({ path, mode }) => ({
        what: { en: `chmod u+rx ${path}`, zh: `chmod u+rx ${path}` },
        undo: { kind: 'mode', path, mode: Number.parseInt(mode, 8) },
        apply: () => makeExecutable(path),
      })),
    )
  },
})
