import { bad, defineFinding, ok, type Seen, skip, warn } from '../finding.ts'
import type { Complaint, World } from '../world.ts'

const isSecret = ({ setting, where }: Complaint) => setting === 'auth.admin_key' || where === 'GATEHOUSE_SECRET_KEY'
const isFile = ({ level, setting, where }: Complaint) => level === 'error' && setting === '' && !isVariable(where)

/** A name of the environment, and no place in a file. */
function isVariable(where: string): boolean {
  return /^[A-Z][A-Z0-9_]*$/.test(where)
}

/** What the reader of the configuration says, sorted into what people look for. */
export const configurationUnreadable = defineFinding({
  id: 'configuration_unreadable',
  area: 'configuration',
  severity: 'critical',
  run: (world) => tell(world, isFile, 'the file can be read'),
})

export const settingRefused = defineFinding({
  id: 'setting_refused',
  area: 'configuration',
  severity: 'critical',
  run(world) {
    if (world.settings === null && world.complaints.every(isFile)) return skip('there is nothing to look at')
    return tell(world, (each) => each.level === 'error' && !isFile(each) && !isSecret(each), 'no setting is refused')
  },
})

export const settingDoubtful = defineFinding({
  id: 'setting_doubtful',
  area: 'configuration',
  severity: 'minor',
  run: (world) => tell(world, (each) => each.level === 'warning' && !isSecret(each), 'nothing is doubtful'),
})

export const secretWeak = defineFinding({
  id: 'secret_weak',
  area: 'secrets',
  severity: 'critical',
  run: (world) => tell(world, isSecret, 'no secret of the configuration is a known or short one'),
})

function tell({ complaints }: World, concerns: (complaint: Complaint) => boolean, fine: string): Seen {
  const found = complaints.filter(concerns)
  const [first] = found
  if (first === undefined) return ok(fine)
  const evidence = found.map(({ where, setting }) => [where, setting].filter(Boolean).join('  ')).join('; ')
  const both = (part: 'cause' | 'remedy') => ({
    en: found.map((each) => each[part].en).join(' '),
    zh: found.map((each) => each[part].zh).join(''),
  })
  return (found.some(({ level }) => level === 'error') ? bad : warn)(evidence, both('cause'), both('remedy'))
}
