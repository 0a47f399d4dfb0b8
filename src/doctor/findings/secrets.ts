import { bad, defineFinding, ok, skip, unknown } from '../finding.ts'
import { messageOf } from '../world.ts'

export const masterKey = defineFinding({
  id: 'master_key',
  area: 'secrets',
  severity: 'critical',
  async run({ masterKeyId, store, settings }) {
    if (settings === null) return skip('the data folder is not known')
    let ours: string | null
    try {
      ours = masterKeyId()
    } catch (error) {
      return bad(
        messageOf(error),
        {
          en: 'The master key cannot be read: nothing sealed with it opens, and the hub does not start.',
          zh: '主密钥无法读取：加密内容无法打开，服务无法启动。',
        },
        {
          en: 'Put the file or GATEHOUSE_SECRET_KEY back as it was (32 bytes in base64 or hex); a backup with a recovery key has it.',
          zh: '请恢复原来的文件或 GATEHOUSE_SECRET_KEY（32 字节的 base64 或 hex）；带恢复密钥的备份中含有它。',
        },
      )
    }
    const opened = await store()
    if (opened.kind === 'absent') return ok(ours === null ? 'the first start makes one' : `key ${ours}`)
    if (opened.kind === 'fault')
      return unknown('waits for the store', { en: 'We did not get that far.', zh: '尚未进行到这一步。' })
    // v1.<key id>.<iv>.<sealed>
    const sealed = (await opened.store.providers()).filter(({ api_key_cipher }) => api_key_cipher !== '')
    const foreign = sealed.filter(({ api_key_cipher }) => api_key_cipher.split('.')[1] !== ours)
    if (foreign.length === 0) return ok(`key ${ours ?? 'none'} opens all ${sealed.length} keys of providers`)
    const theirs = [...new Set(foreign.map(({ api_key_cipher }) => api_key_cipher.split('.')[1]))].join(', ')
    return bad(
      `ours is ${ours ?? 'none'}; ${foreign.map(({ name }) => name).join(', ')} sealed with ${theirs}`,
      {
        en: `The keys of ${foreign.length} providers were sealed with another master key (${theirs}) than this hub has.`,
        zh: `有 ${foreign.length} 个供应商的密钥由其他主密钥（${theirs}）加密，与当前主密钥不符。`,
      },
      {
        en: 'Put the former secret.key or GATEHOUSE_SECRET_KEY back, or enter these keys again.',
        zh: '请恢复原来的 secret.key 或 GATEHOUSE_SECRET_KEY，或重新填写这些密钥。',
      },
    )
  },
})
