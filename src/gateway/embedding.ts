/** The middle form of embeddings: texts or tokens in, one vector each out, in nobody's wire format. */
export type EmbeddingRequest = {
  /** The model the caller asked for. */
  model: string
  /** Texts, or texts as token numbers of the model's own. */
  inputs: (string | number[])[]
  /** Length of each vector, null for the model's own. */
  dimensions: number | null
  /** How vectors are written on the wire. */
  encoding: 'float' | 'base64'
}

export type EmbeddingResult = {
  /** One for each input, in their order. */
  vectors: number[][]
  /** null when the provider did not say, which is not 0. */
  tokensIn: number | null
}
