import { stringify } from 'smol-toml'
import { listSections, type Setting } from '../../../src/config.ts'

/** The example file: every setting with its default, commented out, so that a copy changes nothing. */
export function renderExample(): string {
  const head = `# Every setting of Gatehouse with its default. Copy to gatehouse.toml and remove the # where you want another value.
# Gatehouse 的全部配置及默认值。复制为 gatehouse.toml，去掉需要修改的行首 # 即可。
#
# Stronger than this file: variables (GATEHOUSE_SECTION_KEY), then flags. "gatehouse config show" tells what is in force
# and why, "gatehouse config validate" what is wrong.
`
  const sections = listSections().map(({ name, description, settings }) =>
    [`# ${description.en} ${description.zh}`, `[${name}]`, settings.map(renderSetting).join('\n\n')].join('\n'),
  )
  return `${head}\n${sections.join('\n\n')}\n`
}

function renderSetting(setting: Setting): string {
  const { path, description, allowed, variables } = setting
  const line = stringify({ [path.slice(1).join('.')]: setting.default }).trim()
  const also = variables.length > 1 ? ` (${variables.slice(1).join(', ')})` : ''
  return [`# ${description.en}${also}`, `# ${description.zh}`, `# ${allowed.en}`, `#${line}`].join('\n')
}
