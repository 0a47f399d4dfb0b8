import { defineCheck } from '../check.ts'

const lowBytes = 512 * 1024 ** 2
const fullBytes = 64 * 1024 ** 2

export const diskCheck = defineCheck({
  name: 'disk',
  isCritical: false,
  describe: 'The data folder has room for the journal and the embedded store.',
  run({ diskSpace }) {
    const { freeBytes, totalBytes } = diskSpace()
    const state = freeBytes < fullBytes ? 'failed' : freeBytes < lowBytes ? 'degraded' : 'ok'
    return {
      state,
      message: `${Math.floor(freeBytes / 1024 ** 2)} MiB are free where the data folder is.`,
      remedy: state === 'ok' ? '' : 'Make room, or move the data folder (data.dir).',
      observed: { freeBytes, totalBytes, lowBytes, fullBytes },
    }
  },
})
