/** What is read of the gateway's tables. Texts of requests, passwords and keys are not among it. */
export type Column = { name: string; isNeeded: boolean; effect: string }

const needed = [
  ...['id', 'created_at', 'type', 'user_id', 'token_id', 'channel_id'],
  ...['model_name', 'quota', 'prompt_tokens', 'completion_tokens'],
]

const optional: Readonly<Record<string, string>> = {
  username: 'users are known by their number alone',
  token_name: 'keys are known by their number alone',
  use_time: 'latencies are unknown',
  is_stream: 'streams are not told from whole answers',
  group: 'groups are unknown',
  ip: 'addresses are unknown: rules about them find nothing',
  request_id: 'attempts are not told from requests: every failed attempt counts as a failed request',
  other:
    'cached tokens, time to the first token, error codes and the model behind a mapping are unknown, and settlements of tasks count as requests',
}

export const logColumns: readonly Column[] = [
  ...needed.map((name) => ({ name, isNeeded: true, effect: 'nothing can be read without it' })),
  ...Object.entries(optional).map(([name, effect]) => ({ name, isNeeded: false, effect })),
]

/** Where names are looked up, besides the rows themselves. */
export const nameTables = {
  user: { table: 'users', column: 'username', effect: 'users keep the names that their rows have' },
  key: { table: 'tokens', column: 'name', effect: 'keys keep the names that their rows have' },
  provider: { table: 'channels', column: 'name', effect: 'channels are known by their number alone' },
} as const

/** What an account that only counts usage has no business to read. */
export const secretColumns = [
  ['users', 'password'],
  ['users', 'access_token'],
  ['tokens', 'key'],
  ['channels', 'key'],
  ['options', 'value'],
] as const
