import { resolve } from 'node:path'
import { fail } from '../../kernel/errors.ts'
import { scaffoldPlugin } from '../../plugin/scaffold.ts'
import { type Call, type Command, type ExitCode, exitCodes } from '../command.ts'
import { printJson } from '../report.ts'

/** The first segment below /api that callers will use. */
const serviceName = /^[a-z][a-z0-9-]{0,62}$/

/** For those who write plugin services. */
export const services: Command = {
  name: 'services',
  summary: { en: 'Plugin services', zh: '插件服务' },
  commands: [
    {
      name: 'new',
      summary: { en: 'Write a new plugin that runs as it is', zh: '生成一个可直接运行的插件' },
      args: [{ name: 'name', summary: { en: 'Its name below /api/', zh: '在 /api/ 之下的名称' } }],
      options: [
        {
          flags: '--dir <dir>',
          summary: { en: 'Folder to write into (default ./<name>)', zh: '目标目录（默认 ./<name>）' },
        },
      ],
      run: async (call) => writeNew(call),
    },
  ],
}

function writeNew({ args, options, terminal, json }: Call): ExitCode {
  const name = args[0] ?? ''
  if (!serviceName.test(name)) {
    throw fail('invalid_request', 'a service name begins with a letter and has lower-case letters, digits and - only', {
      param: 'name',
    })
  }
  const folder = resolve(typeof options.dir === 'string' ? options.dir : name)
  const files = scaffoldPlugin(name, folder)
  if (json) printJson(terminal, { folder, files })
  else terminal.out(`${folder}\n${files.map((file) => `  ${file}`).join('\n')}\n\nNext · 下一步: ${folder}/README.md`)
  return exitCodes.ok
}
