/** A place for large things that are written once: a folder, or a bucket. Names are letters, digits, `.`, `_` and `-`. */
export type ObjectStore = {
  /** How operators are told where it is; holds no secret. */
  where: string
  /** By name. What was not finished is not there. */
  list(): Promise<StoredObject[]>
  /** Bytes of an object; null when there is none. */
  size(name: string): Promise<number | null>
  /** `length` bytes from `offset`; fewer only where the object ends. */
  read(name: string, offset: number, length: number): Promise<Buffer>
  /** Begins an object, which appears whole when it is finished, or not at all. Of two with one name the later stays. */
  write(name: string): Promise<ObjectSink>
  /** It need not be there. */
  remove(name: string): Promise<void>
  /** Takes away what was begun before that moment, epoch ms, and neither finished nor aborted; returns how many. */
  clearUnfinished(before: number): Promise<number>
}

export type StoredObject = { name: string; bytes: number }

export type ObjectSink = {
  write(bytes: Buffer): Promise<void>
  /** Resolves when the object is where it will survive the end of the machine. */
  finish(): Promise<void>
  /** Takes back what was written. Never rejects. */
  abort(): Promise<void>
}

export function assertObjectName(name: string): void {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/.test(name)) throw new Error(`Not a name for an object: ${name}`)
}
