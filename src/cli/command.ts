import type { Environment } from '../config/environment.ts'
import type { Words } from '../config.ts'

/** What a run tells the shell. `configuration` is EX_CONFIG and `usage` EX_USAGE of sysexits(3). */
export const exitCodes = { ok: 0, failed: 1, warnings: 2, usage: 64, configuration: 78 } as const
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes]

/** The world around a run: results go out, everything else goes to err. */
export type Terminal = {
  out(text: string): void
  err(text: string): void
  env: Environment
}

export type CommandOption = { flags: string; summary: Words }

export type Call = {
  terminal: Terminal
  /** By the long name of the flag in camelCase; absent when not given. */
  options: Readonly<Record<string, string | boolean | undefined>>
  args: readonly string[]
  /** The caller is a program: results are JSON. */
  json: boolean
  /** Of this program. */
  version: string
}

/** One command, or a group of them. Help texts and docs/reference/cli.md derive from this. */
export type Command = {
  name: string
  summary: Words
  /** `<id>` */
  args?: readonly { name: string; summary: Words }[]
  options?: readonly CommandOption[]
  run?(call: Call): Promise<ExitCode>
  commands?: readonly Command[]
}

/** Flags of every command that reads the configuration. */
export const configOptions: readonly CommandOption[] = [
  {
    flags: '--config <file>',
    summary: {
      en: 'Configuration file (else GATEHOUSE_CONFIG, ./gatehouse.toml, <data>/gatehouse.toml)',
      zh: '配置文件（否则依次查找 GATEHOUSE_CONFIG、./gatehouse.toml、<data>/gatehouse.toml）',
    },
  },
  { flags: '--data <dir>', summary: { en: 'Data folder', zh: '数据目录' } },
]
