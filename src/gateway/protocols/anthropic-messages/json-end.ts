/** Follows the text of one JSON value, piece by piece, to its end. */
export type JsonEnd = {
  push(text: string): void
  /** An object or a list was begun and closed again. */
  isWhole(): boolean
}

export function createJsonEnd(): JsonEnd {
  let depth = 0
  let isBegun = false
  let isInString = false
  let isEscaped = false
  return {
    push(text) {
      for (let i = 0; i < text.length; i++) {
        const unit = text.charCodeAt(i)
        if (isInString) {
          if (isEscaped) isEscaped = false
          else if (unit === 0x5c) isEscaped = true
          else if (unit === 0x22) isInString = false
        } else if (unit === 0x22) isInString = true
        else if (unit === 0x7b || unit === 0x5b) {
          depth++
          isBegun = true
        } else if (unit === 0x7d || unit === 0x5d) depth--
      }
    },
    isWhole: () => isBegun && depth === 0 && !isInString,
  }
}
