/**
 * The file of a backup.
 *
 *     magic · u32 length of header · header (JSON, in clear) · frame … · frame of the manifest · trailer
 *
 * A frame is a u32 length and as many bytes of AES-256-GCM. Its nonce is its kind and its number, and what it is
 * authenticated with is the hash of the header: a frame that was moved, left out, or taken from another file does not
 * open, and a file without its manifest is no backup. The key of a file is its own, drawn anew for each, so that a nonce
 * is used once. docs/adr/0041 says why it is so.
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import { fail, type HubError } from '../../kernel/errors.ts'
import type { BackupKind } from '../schema.ts'

export const magic = Buffer.from('GATEHOUSE BACKUP\n')
export const formatVersion = 1
const trailerMark = Buffer.from('GHBK')
/** u64 offset and u32 number of the manifest's frame, u32 zero, the mark. */
export const trailerBytes = 20
export const tagBytes = 16
/** Nothing of ours is longer; a length beyond it is damage. */
export const longestFrame = 256 * 1024 * 1024

export type FrameKind = 'rows' | 'file' | 'manifest'
const kindNumbers: Record<FrameKind, number> = { rows: 1, file: 2, manifest: 3 }

/** What can be known of a backup without a key. */
export type Header = {
  format: number
  id: string
  kind: BackupKind
  /** Epoch ms of the moment it shows. */
  takenAt: number
  /** The program's. */
  version: string
  /** Of the last migration; '' for none. */
  schema: string
  /** Backups that it takes chunks from, oldest first. */
  chain: string[]
  /** Names the master key that its secrets are sealed with. */
  keyId: string
  slots: Slot[]
}

/** The file's key, sealed for one of those who may open it. */
export type Slot = { for: 'master' | 'recovery'; keyId: string; sealed: string; ephemeral?: string }

export type FaultKind =
  | 'missing'
  | 'empty'
  | 'truncated'
  | 'damaged'
  | 'foreign'
  | 'format'
  | 'wrong key'
  | 'older schema'
  | 'newer schema'
  | 'mismatch'

/** Why a backup cannot be used. `param` is the kind, for programs. */
export function unusable(kind: FaultKind, message: string, cause?: unknown): HubError {
  return fail('backup_unusable', message, { param: kind, ...(cause !== undefined && { cause }) })
}

export function writeHeader(header: Header): { bytes: Buffer; digest: Buffer } {
  const text = Buffer.from(JSON.stringify(header))
  const length = Buffer.alloc(4)
  length.writeUInt32BE(text.length)
  const bytes = Buffer.concat([magic, length, text])
  return { bytes, digest: createHash('sha256').update(bytes).digest() }
}

export type FrameSealer = { seal(kind: FrameKind, index: number, plain: Uint8Array): Buffer }
export type FrameOpener = { open(kind: FrameKind, index: number, sealed: Uint8Array): Buffer }

export function createDataKey(): Buffer {
  return randomBytes(32)
}

/** `digest` is the header's: see `writeHeader`. */
export function createSealer(dataKey: Buffer, digest: Buffer): FrameSealer {
  return {
    seal(kind, index, plain) {
      const cipher = createCipheriv('aes-256-gcm', dataKey, nonceOf(kind, index)).setAAD(digest)
      const body = cipher.update(plain)
      const rest = cipher.final()
      const length = Buffer.alloc(4)
      length.writeUInt32BE(body.length + rest.length + tagBytes)
      return Buffer.concat([length, body, rest, cipher.getAuthTag()])
    },
  }
}

/** `open` throws the driver's error when a bit is not as it was written. */
export function createOpener(dataKey: Buffer, digest: Buffer): FrameOpener {
  return {
    open(kind, index, sealed) {
      const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength)
      const decipher = createDecipheriv('aes-256-gcm', dataKey, nonceOf(kind, index), { authTagLength: tagBytes })
      decipher.setAAD(digest).setAuthTag(bytes.subarray(bytes.length - tagBytes))
      return Buffer.concat([decipher.update(bytes.subarray(0, bytes.length - tagBytes)), decipher.final()])
    },
  }
}

function nonceOf(kind: FrameKind, index: number): Buffer {
  const nonce = Buffer.alloc(12)
  nonce.writeUInt8(kindNumbers[kind])
  nonce.writeUInt32BE(index, 8)
  return nonce
}

export function writeTrailer(offset: number, index: number): Buffer {
  const trailer = Buffer.alloc(trailerBytes)
  trailer.writeBigUInt64BE(BigInt(offset))
  trailer.writeUInt32BE(index, 8)
  trailerMark.copy(trailer, 16)
  return trailer
}

/** Null when these bytes end no backup. */
export function readTrailer(bytes: Buffer): { offset: number; index: number } | null {
  if (bytes.length !== trailerBytes || !bytes.subarray(16).equals(trailerMark)) return null
  return { offset: Number(bytes.readBigUInt64BE()), index: bytes.readUInt32BE(8) }
}
