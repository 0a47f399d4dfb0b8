import { mkdirSync, rmSync } from 'node:fs'
import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fail } from '../kernel/errors.ts'

/** Bytes that are too many for memory and too short-lived for a store: an upload on its way to a provider. */
export type Spools = {
  /** Rejects with `unavailable` when the disk refuses. */
  open(): Promise<Spool>
}

export type Spool = {
  /** One at a time. Rejects with `unavailable` when all uploads together would pass the limit, or the disk is full. */
  append(bytes: Buffer): Promise<void>
  readonly size: number
  /** Bytes from `start` up to `end`, in pieces of 64 KiB. May be read more than once. */
  read(start: number, end: number): AsyncGenerator<Buffer>
  /** Gives the space back. Harmless when repeated. */
  close(): Promise<void>
}

const pieceBytes = 65_536

/**
 * Spools under `folder`. Each file loses its name as soon as it is open, so that the space comes back whatever becomes of
 * this process. Only what a process that was killed between the two has left is cleared away by the next.
 */
export function createSpools({ folder, maxTotalBytes }: { folder: string; maxTotalBytes(): number }): Spools {
  let total = 0
  rmSync(folder, { recursive: true, force: true })

  async function openNameless(): Promise<FileHandle> {
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      const place = await mkdtemp(join(folder, 'upload-'))
      try {
        return await open(join(place, 'bytes'), 'wx+', 0o600)
      } finally {
        await rm(place, { recursive: true, force: true })
      }
    } catch (cause) {
      throw noRoom(cause)
    }
  }

  return {
    async open() {
      const file = await openNameless()
      let size = 0
      let isOpen = true
      return {
        get size() {
          return size
        },
        async append(bytes) {
          if (total + bytes.length > maxTotalBytes()) throw noRoom()
          total += bytes.length
          const at = size
          size += bytes.length
          try {
            await file.write(bytes, 0, bytes.length, at)
          } catch (cause) {
            throw noRoom(cause)
          }
        },
        async *read(start, end) {
          for (let at = start; at < end; ) {
            const piece = Buffer.allocUnsafe(Math.min(pieceBytes, end - at))
            const { bytesRead } = await file.read(piece, 0, piece.length, at)
            if (bytesRead === 0) throw noRoom()
            at += bytesRead
            yield bytesRead === piece.length ? piece : piece.subarray(0, bytesRead)
          }
        },
        async close() {
          if (!isOpen) return
          isOpen = false
          total -= size
          await file.close()
        },
      }
    },
  }
}

function noRoom(cause?: unknown) {
  return fail('unavailable', 'There is no room for this upload at the moment; send it again later.', {
    retryAfterMs: 5000,
    ...(cause === undefined ? {} : { cause }),
  })
}
