import { relay as chatRelay } from '../openai-chat/relay-edit.ts'
import type { Relay } from '../protocol.ts'
import { skipSpace, skipString } from '../scan.ts'

/** Frames, usage and endings are those of chat; only the text stands elsewhere. */
export const relay: Relay = {
  editResult: chatRelay.editResult,
  createEditor(options) {
    const editor = chatRelay.createEditor(options)
    return {
      ...editor,
      edit(block) {
        const bytes = textBytes(block)
        if (bytes > 0) {
          editor.seen.contentBytes += bytes
          editor.seen.contentEvents++
        }
        return editor.edit(block)
      },
    }
  },
}

// Inside JSON text a quote is escaped, so these bytes with bare quotes can only be a name or a value.
const textName = Buffer.from('"text"')

function textBytes(block: Buffer): number {
  let bytes = 0
  for (let at = block.indexOf(textName); at !== -1; at = block.indexOf(textName, at + textName.length)) {
    const colon = skipSpace(block, at + textName.length)
    if (block[colon] !== 0x3a) continue
    const value = skipSpace(block, colon + 1)
    const end = block[value] === 0x22 ? skipString(block, value) : -1
    if (end !== -1) bytes += end - value - 2
  }
  return bytes
}
