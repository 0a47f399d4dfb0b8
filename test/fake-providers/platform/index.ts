export { picture, soundPieces } from './models.ts'
export { type FakePlatform, type PlatformBehaviour, type PlatformRequest, startFakePlatform } from './platform.ts'
