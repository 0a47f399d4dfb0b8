/**
 * What one kind of secret or personal datum looks like. Patterns run over texts that strangers wrote: each begins where a
 * word begins and repeats nothing inside a repetition, so that no text makes it slow.
 */
export type RedactionPack = {
  name: string
  /** With the flag g; tried in order. */
  patterns: readonly RegExp[]
}

export function definePack<Name extends string>(pack: RedactionPack & { name: Name }): RedactionPack & { name: Name } {
  return pack
}
