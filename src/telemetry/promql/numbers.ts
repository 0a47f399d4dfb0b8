/** Arithmetic where Go's differs from JavaScript's. */

/** As `math.Pow`: 1 to any power is 1, and -1 to an infinite one too. */
export function power(base: number, exponent: number): number {
  if (base === 1 || (base === -1 && Math.abs(exponent) === Number.POSITIVE_INFINITY)) return 1
  return base ** exponent
}

/** As `math.Max`: an infinity outweighs NaN. */
export function greater(a: number, b: number): number {
  return a === Number.POSITIVE_INFINITY || b === Number.POSITIVE_INFINITY ? Number.POSITIVE_INFINITY : Math.max(a, b)
}

/** As `math.Min`. */
export function lesser(a: number, b: number): number {
  return a === Number.NEGATIVE_INFINITY || b === Number.NEGATIVE_INFINITY ? Number.NEGATIVE_INFINITY : Math.min(a, b)
}

/** A sum that keeps what is lost in rounding: Neumaier's variant of Kahan's. */
export function createSum() {
  let sum = 0
  let lost = 0
  return {
    add(value: number) {
      const next = sum + value
      if (Number.isFinite(next)) lost += Math.abs(sum) >= Math.abs(value) ? sum - next + value : value - next + sum
      else lost = 0
      sum = next
    },
    value: () => (Number.isFinite(sum) ? sum + lost : sum),
  }
}

/** The mean without overflow; once infinite it stays so until the other infinity or NaN comes. */
export function createMean() {
  let mean = 0
  let lost = 0
  let count = 0
  return {
    add(value: number) {
      count++
      if (Math.abs(mean) === Number.POSITIVE_INFINITY) {
        if (value === mean || Number.isFinite(value)) return
      }
      const step = value / count - mean / count
      const next = mean + step
      if (Number.isFinite(next)) lost += Math.abs(mean) >= Math.abs(step) ? mean - next + step : step - next + mean
      else lost = 0
      mean = next
    },
    value: () => (Number.isFinite(mean) ? mean + lost : mean),
  }
}

/** Welford's variance of the population. */
export function createVariance() {
  let count = 0
  let mean = 0
  let squares = 0
  return {
    add(value: number) {
      count++
      const delta = value - mean
      mean += delta / count
      squares += delta * (value - mean)
    },
    value: () => squares / count,
  }
}

/** The `q`-quantile with NaN below everything; sorts `values`. */
export function quantileOf(q: number, values: number[]): number {
  if (values.length === 0 || Number.isNaN(q)) return Number.NaN
  if (q < 0) return Number.NEGATIVE_INFINITY
  if (q > 1) return Number.POSITIVE_INFINITY
  values.sort(nanFirst)
  const rank = q * (values.length - 1)
  const low = Math.max(0, Math.floor(rank))
  const high = Math.min(values.length - 1, low + 1)
  const weight = rank - Math.floor(rank)
  return values[low]! * (1 - weight) + values[high]! * weight
}

export function nanFirst(a: number, b: number): number {
  if (Number.isNaN(a)) return Number.isNaN(b) ? 0 : -1
  return Number.isNaN(b) ? 1 : a - b
}

/** A sample's value as the HTTP API writes it. */
export function formatValue(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf'
  if (Object.is(value, -0)) return '-0'
  return String(value).replace(/e([+-])(\d)$/, 'e$10$2')
}

/** Without an exponent, however many digits that takes: for values that become labels. */
export function formatPlain(value: number): string {
  const text = formatValue(value)
  const found = /^(-?)(\d)(?:\.(\d+))?e([+-]\d+)$/.exec(text)
  if (found === null) return text
  const [, sign, whole, fraction = '', exponent] = found
  const digits = whole! + fraction
  const point = 1 + Number(exponent)
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`
  return sign + digits.padEnd(point, '0')
}
