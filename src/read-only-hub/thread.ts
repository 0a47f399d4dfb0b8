/** The thread that a drill's hub lives in: neither its start nor what it is asked holds up those whom the hub serves. */
import { answerCalls } from '../platform/thread.ts'
import { askHub } from './ask.ts'
import type { HubVerbs } from './index.ts'

answerCalls<HubVerbs>(() => ({ ask: askHub }), { urgent: [] })
