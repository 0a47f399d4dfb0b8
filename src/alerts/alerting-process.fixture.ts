/**
 * A process of its own that takes alerts and tells them: argv is the store's address. It says `loaded`, begins when it is
 * sent `go`, says `ready`, and `posted` after each list of alerts its parent sends; the parent kills it whenever it likes.
 */
import { systemClock } from '../kernel/clock.ts'
import type { PostedAlert } from './alert.ts'
import { openAlerting } from './testing-alerting.ts'

const [url = ''] = process.argv.slice(2)
const gone = Promise.withResolvers<void>()
process.once('disconnect', gone.resolve)
process.send?.('loaded')
await new Promise<void>((resolve) => process.once('message', () => resolve()))
const { pipeline } = await openAlerting({
  ...{ url, isMigrated: true, receivers: { all: [] }, settings: { storm_max_notifications: 0 } },
})
process.on('message', (alerts: PostedAlert[]) => void pipeline.post(alerts).then(() => process.send?.('posted')))
process.send?.('ready')
let isOver = false
void gone.promise.then(() => {
  isOver = true
})
while (!isOver) {
  await pipeline.tick()
  await systemClock.sleep(20)
}
process.exit()
