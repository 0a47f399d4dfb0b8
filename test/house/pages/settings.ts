import { listSections } from '../../../src/config.ts'
import { opening, table } from './markdown.ts'

export function renderSettings(): string {
  const head = opening(
    'Settings · 配置项',
    `Weakest first: defaults, the file (\`--config\`, else \`GATEHOUSE_CONFIG\`, else \`./gatehouse.toml\`, else
\`<data>/gatehouse.toml\`), variables, flags. \`gatehouse config show\` tells where each value in force comes from. An
empty variable counts as not set; lists in variables are separated by commas. \`GATEHOUSE_SECRET_KEY\` (32 bytes, base64
or hex) replaces the key file in the data folder and has no place in a file. A running hub takes over what is marked ↻ (\`gatehouse config reload\`, SIGHUP); the rest waits for its next start.`,
  )
  const sections = listSections().map(({ name, description, settings }) => {
    const rows = settings.map((setting) => [
      `\`${setting.path.slice(1).join('.')}\``,
      `\`${JSON.stringify(setting.default)}\``,
      `${setting.allowed.en}${setting.isSecret ? ' (secret)' : ''}${setting.isReloadable ? ' ↻' : ''}`,
      `${setting.description.en}<br>${setting.description.zh}`,
      setting.variables.map((variable) => `\`${variable}\``).join('<br>'),
    ])
    const columns = ['Setting', 'Default', 'Allowed', 'What it does · 说明', 'Variables']
    return `## [${name}]\n\n${description.en} ${description.zh}\n\n${table(columns, rows)}`
  })
  return `${head}\n${sections.join('\n\n')}\n`
}
