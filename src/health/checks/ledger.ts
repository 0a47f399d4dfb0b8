import { defineCheck } from '../check.ts'

export const ledgerCheck = defineCheck({
  name: 'ledger',
  isCritical: true,
  describe: 'The journal takes entries; without it no request is served.',
  run({ ledger }) {
    if (ledger.isWritable()) return { state: 'ok', message: 'The journal takes entries.', remedy: '', observed: {} }
    return {
      state: 'failed',
      message: 'The journal cannot be written, so no request is served.',
      remedy: 'Look at the free space, the owner and the mount of the data folder.',
      observed: {},
    }
  },
})
