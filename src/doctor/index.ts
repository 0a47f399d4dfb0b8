/**
 * The doctor: looks at the hub and at all it stands on, finds what is wrong, names the cause and says what to do. It runs
 * beside a hub, inside one, and where none can start. Not here: watching over time (health, alerts); it looks once, when
 * asked. It changes nothing but what `--fix` is told to.
 */
export { type CleanPart, cleanParts, manifestOf, type Part } from './bundle.ts'
export { type Area, areas } from './finding.ts'
export { findings } from './findings/index.ts'
export { mend } from './mend.ts'
export { diagnoseQuickly } from './quick.ts'
export { doctorRoutes } from './routes.ts'
export { type Diagnosis, diagnose, judge, type Verdict } from './run.ts'
export { showDiagnosis } from './schema.ts'
export type { DoctorTables } from './store.ts'
export { createWorld, type DoctorParts, type DoctorSettings, type KnownProvider } from './world.ts'
