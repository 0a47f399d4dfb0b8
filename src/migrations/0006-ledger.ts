import type { Migration } from '../platform/database/index.ts'

const logTexts = [
  'service_tier',
  'usage_details',
  'provider_key_id',
  'session_id',
  'tags',
  'route_log',
  'cache_hit',
  'mirror_of',
  'abort_policy',
]

const hourlyMeasures = [
  'tokens_cached_write_1h',
  'tokens_audio_in',
  'tokens_audio_out',
  'tokens_image_in',
  'tokens_image_out',
  'images',
  'audio_ms',
  'characters',
  'searches',
  'cache_hits',
  'wasted_nano_usd',
  'unpriced_wasted',
]

const rates = [
  'percent',
  'cached_write_hour',
  'audio_in',
  'audio_out',
  'image_in',
  'image_out',
  'per_image',
  'per_audio_minute',
  'per_million_characters',
  'per_search',
  'per_request',
]

/** Rows say what else was used, how and for whom; sums add it up; prices are of more than text. */
export const ledgerMigration: Migration = {
  name: '0006-ledger',

  async up(db) {
    for (const column of logTexts) {
      await db.schema
        .alterTable('request_logs')
        .addColumn(column, 'text', (c) => c.notNull().defaultTo(''))
        .execute()
    }
    await db.schema
      .alterTable('request_logs')
      .addColumn('wasted_nano_usd', 'bigint', (c) => c.defaultTo(0))
      .execute()
    for (const column of hourlyMeasures) {
      await db.schema
        .alterTable('usage_hourly')
        .addColumn(column, 'bigint', (c) => c.notNull().defaultTo(0))
        .execute()
    }
    await db.schema
      .alterTable('prices')
      .addColumn('service_tier', 'text', (c) => c.notNull().defaultTo(''))
      .execute()
    for (const column of rates) await db.schema.alterTable('prices').addColumn(column, 'bigint').execute()
    // The built-in book says more of every model now; the next start enters it again under the same ids.
    await db.deleteFrom('prices').where('origin', '=', 'book').execute()
  },

  async down(db) {
    await db.deleteFrom('prices').where('origin', '=', 'book').execute()
    // Of other tiers of service, or of units alone: without these columns they would pass for prices of tokens.
    await db
      .deleteFrom('prices')
      .where((eb) => eb.or([eb('service_tier', '<>', ''), eb.and([eb('input', '=', 0), eb('output', '=', 0)])]))
      .execute()
    for (const column of [...rates, 'service_tier']) await db.schema.alterTable('prices').dropColumn(column).execute()
    for (const column of hourlyMeasures) await db.schema.alterTable('usage_hourly').dropColumn(column).execute()
    for (const column of [...logTexts, 'wasted_nano_usd']) {
      await db.schema.alterTable('request_logs').dropColumn(column).execute()
    }
  },
}
