import { dispatch, pipe } from './bare.ts'
import { baseline } from './baseline.ts'
import { gatehouse, gatehouseQuiet, gatehouseTraced } from './gatehouse.ts'
import { nginx } from './nginx.ts'
import { portkey } from './portkey.ts'
import type { Subject } from './subject.ts'

/** The baseline comes first: all others are told as multiples of it. */
export const subjects: readonly Subject[] = [baseline, gatehouse, pipe, dispatch, nginx, portkey]

/** The hub with less or more of what it tells; measured when asked for. */
export const variants: readonly Subject[] = [gatehouseQuiet, gatehouseTraced]
