import { definePack } from './pack.ts'

export const idCard = definePack({
  name: 'id_card',
  patterns: [
    // Resident identity cards (GB 11643): place, birthday, number. The check digit is not looked at: a mistyped one is somebody's too.
    /(?<!\d)[1-9]\d{5}[ -]?(?:18|19|20)\d{2}[ -]?(?:0[1-9]|1[0-2])[ -]?(?:0[1-9]|[12]\d|3[01])[ -]?\d{3}[\dXx](?!\d)/g,
    // Social security numbers of the United States.
    /(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])/g,
  ],
})
