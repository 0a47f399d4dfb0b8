/** Name of this protocol in the shelf and in `extras`. */
export const protocolName = 'openai-completions'
