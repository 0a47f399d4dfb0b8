import { definePack } from './pack.ts'

export const phone = definePack({
  name: 'phone',
  patterns: [
    // Mobiles of China, also with their country and in groups.
    /(?<![\w.])(?:(?:\+|00)?86[- ]?)?1[3-9]\d[- ]?\d{4}[- ]?\d{4}(?!\d)/g,
    // International: https://www.itu.int/rec/T-REC-E.164
    /(?<![\w.])\+[1-9]\d{0,2}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d{1,4}(?:[ .-]?\d{2,4}){2,4}(?!\d)/g,
    // Fixed lines of China, then numbers of North America.
    /(?<![\w.])0\d{2,3}-\d{7,8}(?!\d)/g,
    /(?<![\w.])(?:\(\d{3}\) ?|\d{3}[-. ])\d{3}[-.]\d{4}(?!\d)/g,
  ],
})
