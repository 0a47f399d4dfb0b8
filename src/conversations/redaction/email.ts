import { definePack } from './pack.ts'

export const email = definePack({
  name: 'email',
  // 64 before the sign, and labels of 63: https://www.rfc-editor.org/rfc/rfc5321#section-4.5.3.1
  patterns: [/[\p{L}\p{N}!#$%&'*+/=?^_`{|}~.-]{1,64}[@＠][\p{L}\p{N}-]{1,63}(?:\.[\p{L}\p{N}-]{1,63}){1,8}/gu],
})
