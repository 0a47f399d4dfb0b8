import type { Command } from '../command.ts'
import { alerts } from './alerts.ts'
import { audit } from './audit.ts'
import { backup } from './backup.ts'
import { checks } from './checks.ts'
import { config } from './config.ts'
import { demo } from './demo.ts'
import { diagnose } from './diagnose.ts'
import { doctor } from './doctor.ts'
import { incidents } from './incidents.ts'
import { keys } from './keys.ts'
import { maintenance } from './maintenance.ts'
import { migrate } from './migrate.ts'
import { reset } from './reset.ts'
import { serve } from './serve.ts'
import { services } from './services.ts'
import { sources } from './sources.ts'
import { store } from './store.ts'
import { usage } from './usage.ts'

/** Every command, in the order of the help text. */
export const commands: readonly Command[] = [
  serve,
  migrate,
  config,
  doctor,
  diagnose,
  keys,
  services,
  sources,
  checks,
  alerts,
  demo,
  incidents,
  usage,
  audit,
  backup,
  store,
  maintenance,
  reset,
]
