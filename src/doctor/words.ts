/** A sentence in both languages of our users. */
export type Words = { en: string; zh: string }
