import { createFolderStore } from './folder.ts'
import type { ObjectStore } from './object-store.ts'
import { createS3Store, type S3Place } from './s3.ts'

export { createFolderStore } from './folder.ts'
export type { ObjectSink, ObjectStore, StoredObject } from './object-store.ts'

/** Where objects are kept, as plain data: threads open it for themselves. */
export type ObjectPlace = { kind: 'folder'; path: string } | S3Place

export function openObjectStore(place: ObjectPlace): ObjectStore {
  return place.kind === 's3' ? createS3Store(place) : createFolderStore(place.path)
}
