/**
 * What `build` makes of the values that `read` returns, made again when one of them is another one. For what is derived
 * from settings, which a reload replaces while the hub runs: looking whether they are the same costs a comparison each.
 */
export function derive<const Values extends readonly unknown[], Made>(
  read: () => Values,
  build: (...values: Values) => Made,
): () => Made {
  let of: Values | null = null
  let made: Made
  return () => {
    const values = read()
    if (of === null || values.some((value, index) => !Object.is(value, of![index]))) {
      made = build(...values)
      of = values
    }
    return made
  }
}

/**
 * An object whose members are read anew whenever somebody looks: for settings in other units or under other names. Pass it
 * on as it is; a copy by `...` would keep the values of that moment.
 */
export function lookUp<Readers extends Record<string, () => unknown>>(
  readers: Readers,
): { readonly [Name in keyof Readers]: ReturnType<Readers[Name]> } {
  const members = Object.entries(readers).map(([name, get]) => [name, { get, enumerable: true }] as const)
  return Object.defineProperties({}, Object.fromEntries(members)) as {
    [Name in keyof Readers]: ReturnType<Readers[Name]>
  }
}
