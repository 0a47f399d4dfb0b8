/** A sentence in both languages of our users. */
export type Words = { en: string; zh: string }

/** Something wrong, or doubtful, about how the hub is set up. Never holds a secret's value. */
export type Finding = {
  level: 'error' | 'warning'
  /** `gatehouse.toml:12`, the name of a variable, or a flag. */
  where: string
  /** Path of the setting, as in `server.port`; '' when it concerns no single one. */
  setting: string
  cause: Words
  remedy: Words
}

/** Every reason why the hub can't be set up this way, at once. */
export class ConfigError extends Error {
  readonly findings: readonly Finding[]

  constructor(findings: readonly Finding[]) {
    super(
      findings
        .map((finding) => `${finding.where}: ${finding.setting} ${finding.cause.en} ${finding.remedy.en}`)
        .join('\n'),
    )
    this.name = 'ConfigError'
    this.findings = findings
  }
}
