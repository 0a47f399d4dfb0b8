/** Generated from the OpenAPI document by `npm run docs`: what `ask` of api.ts may be asked, and what is answered. */
export type Operations = {
  'DELETE /api/alerts/routing': {
    reply: unknown
  }
  'DELETE /api/auth/sessions': {
    reply: unknown
  }
  'DELETE /api/auth/sessions/{id}': {
    path: {
      id: string
    }
    reply: unknown
  }
  'DELETE /api/on-call/policies/{severity}': {
    path: {
      severity: 'P0' | 'P1' | 'P2' | 'P3'
    }
    reply: unknown
  }
  'DELETE /api/on-call/schedules/{name}': {
    path: {
      name: string
    }
    reply: unknown
  }
  'GET /api/alert-rules/{id}': {
    path: {
      id: string
    }
    reply: {
      alert?: string
      record?: string
      name_en: string
      name_zh: string
      expr: string
      for: string
      keep_firing_for: string
      labels: Record<string, string>
      annotations: Record<string, string>
      interval: string | null
      limit: number
      no_data: 'keep_state' | 'alert' | 'ok' | 'resolve' | null
      on_error: 'keep_state' | 'alert' | null
      enabled: boolean
      id: string
      source: 'pack' | 'file' | 'api'
      changed: boolean
      group: string
      file: string
      line: number
      state: 'inactive' | 'pending' | 'firing' | 'nodata' | 'error'
      health: 'unknown' | 'ok' | 'nodata' | 'error'
      last_error: string
      last_evaluation: string | null
      evaluation_seconds: number
      pending: number
      firing: number
      alerts: ({
        fingerprint: string
        state: 'pending' | 'firing' | 'inactive'
        labels: Record<string, string>
        annotations: Record<string, string>
        value: string
        active_at: string
        fired_at: string | null
        resolved_at: string | null
        keep_firing_since: string | null
        no_data_since: string | null
        last_sent_at: string | null
      })[]
    }
  }
  'GET /api/alerts/routing': {
    reply: {
      source: 'file' | 'stored'
      updated_by: string
      updated_at: string | null
      route: unknown
      inhibit_rules: {
        name?: string
        source_matchers?: string[]
        target_matchers?: string[]
        source_match?: Record<string, string>
        source_match_re?: Record<string, string>
        target_match?: Record<string, string>
        target_match_re?: Record<string, string>
        equal?: string[]
      }[]
      time_intervals: {
        name: string
        time_intervals: {
          times?: {
            start_time: string
            end_time: string
          }[]
          weekdays?: string[]
          days_of_month?: string[]
          months?: string[]
          years?: string[]
          location?: string
        }[]
      }[]
    }
  }
  'GET /api/auth/sessions': {
    reply: {
      data: {
        id: string
        started_at: string
        last_used_at: string
        expires_at: string
        ip: string
        user_agent: string
        current: boolean
      }[]
      next_cursor: string | null
    }
  }
  'GET /api/auth/totp': {
    reply: {
      enabled: boolean
      required: boolean
      recovery_codes_left: number
    }
  }
  'GET /api/backups': {
    reply: {
      data: ({
        id: string
        kind: 'full' | 'increment' | 'migration' | 'safety'
        taken_at: number
        bytes: number
        version: string
        schema: string
        needs: string[]
        key_id: string
        opens_with_recovery_key: boolean
        verified_at: number | null
        drilled_at: number | null
        fault: string
      })[]
      where: string
      running: {
        id: string
        kind: string
        step: string
        rows: number
        bytes: number
        written_bytes: number
      } | null
    }
  }
  'GET /api/backups/runs': {
    query?: {
      limit?: number
      cursor?: string
    }
    reply: {
      data: ({
        id: string
        kind: 'full' | 'increment' | 'migration' | 'safety' | 'verify' | 'drill'
        outcome: 'running' | 'ok' | 'failed' | 'inconclusive'
        backup_id: string
        started_at: number
        finished_at: number | null
        bytes: number
        rows: number
        message: string
        details: Record<string, unknown>
      })[]
      next_cursor: string | null
    }
  }
  'GET /api/budgets': {
    query?: {
      limit?: number
      cursor?: string
    }
    reply: {
      data: ({
        id: string
        scope: 'key' | 'user' | 'tenant' | 'tag' | 'provider'
        scope_id: string
        tenant_id: string
        period: 'day' | 'month'
        zone: string
        limit_usd: string
        limit_nano_usd: number
        hard: boolean
        period_starts_at: string
        period_ends_at: string
        spent_usd: string | null
        spent_nano_usd: number | null
        reserved_usd: string | null
        created_at: string
        updated_at: string
      })[]
      next_cursor: string | null
    }
  }
  'GET /api/checks': {
    query?: {
      limit?: number
      cursor?: string
    }
    reply: {
      data: ({
        id: string
        tenant_id: string
        type: string
        name: string
        level: 'container' | 'service' | 'application' | 'business'
        description: string
        parameters: Record<string, unknown>
        interval_seconds: number
        retry_interval_seconds: number
        timeout_seconds: number
        retries: number
        failures: number
        successes: number
        enabled: boolean
        is_public: boolean
        is_upside_down: boolean
        depends_on: string[]
        windows: Record<string, unknown>[]
        has_push_token: boolean
        state: 'up' | 'down' | 'pending' | 'inconclusive' | 'maintenance' | 'paused'
        is_warning: boolean
        reason: string
        message: string
        observed: Record<string, number | string | boolean>
        latency_ms: number | null
        state_since: string | null
        checked_at: string | null
        last_ok_at: string | null
        suppressed_by: string
        created_at: string | null
        updated_at: string | null
      })[]
      next_cursor: string | null
    }
  }
  'GET /api/checks/{id}/history': {
    path: {
      id: string
    }
    query?: {
      from?: string
      to?: string
      limit?: number
    }
    reply: {
      from: string
      to: string
      grain: 'result' | 'minute' | 'hour'
      total: {
        uptime: number | null
        uptime_with_maintenance: number | null
        up_seconds: number
        down_seconds: number
        inconclusive_seconds: number
        maintenance_seconds: number
        results: number
        p50_ms: number | null
        p95_ms: number | null
      }
      points: ({
        uptime: number | null
        uptime_with_maintenance: number | null
        up_seconds: number
        down_seconds: number
        inconclusive_seconds: number
        maintenance_seconds: number
        results: number
        p50_ms: number | null
        p95_ms: number | null
        at: string
      })[]
      results: {
        at: string
        state: string
        in_maintenance: boolean
        latency_ms: number
        reason: string
        message: string
      }[]
    }
  }
  'GET /api/config': {
    reply: {
      node: string
      file: string | null
      revision_id: string | null
      watched_until: string | null
      sections: ({
        name: string
        settings: ({
          name: string
          section: string
          value: unknown
          pending?: unknown
          default: unknown
          source: 'default' | 'file' | 'env' | 'flag'
          where: string
          kind: 'string' | 'number' | 'boolean' | 'list' | 'json'
          description: {
            en: string
            zh: string
          }
          allowed: {
            en: string
            zh: string
          }
          secret: boolean
          reloadable: boolean
        })[]
      })[]
    }
  }
  'GET /api/config/revisions': {
    query?: {
      limit?: number
      cursor?: string
    }
    reply: {
      data: ({
        id: string
        at: string
        node: string
        author: {
          kind: string
          id: string
          name: string
        }
        origin: 'start' | 'signal' | 'api' | 'command' | 'rollback'
        outcome: 'watched' | 'kept' | 'rolled_back'
        reason: string
        diff: {
          name: string
          before: unknown
          after: unknown
        }[]
        applied: string[]
        waiting: string[]
      })[]
      next_cursor: string | null
    }
  }
  'GET /api/doctor': {
    query?: {
      area?: 'configuration' | 'program' | 'machine' | 'network' | 'hub' | 'database' | 'redis' | 'secrets' | 'ledger' | 'providers' | 'services' | 'backups' | 'edge'
      offline?: string
    }
    reply: {
      verdict: 'ok' | 'warn' | 'fail'
      counts: Record<string, number>
      findings: ({
        id: string
        area: 'configuration' | 'program' | 'machine' | 'network' | 'hub' | 'database' | 'redis' | 'secrets' | 'ledger' | 'providers' | 'services' | 'backups' | 'edge'
        severity: 'critical' | 'major' | 'minor'
        status: 'ok' | 'warn' | 'fail' | 'skip' | 'inconclusive'
        evidence: string
        cause: {
          en: string
          zh: string
        } | null
        remedy: {
          en: string
          zh: string
        } | null
        docs: string
        fixable: boolean
        duration_ms: number
      })[]
    }
  }
  'GET /api/health': {
    reply: {
      status: 'healthy' | 'degraded' | 'unhealthy'
      timestamp: string
      service: 'gatehouse'
      version: string
      checks: Record<string, 'ok' | 'degraded' | 'failed' | 'inconclusive' | 'disabled'>
      details?: Record<string, {
        state: 'ok' | 'degraded' | 'failed' | 'inconclusive' | 'disabled'
        message: string
        remedy: string
        observed: Record<string, number | string | boolean>
        checked_at: string
        latency_ms: number
      }>
    }
  }
  'GET /api/incidents': {
    query?: {
      state?: 'open' | 'acknowledged' | 'mitigated' | 'resolved' | 'closed' | 'active'
      severity?: 'P0' | 'P1' | 'P2' | 'P3'
      limit?: number
      cursor?: string
    }
    reply: {
      data: ({
        id: string
        tenant_id: string
        severity: 'P0' | 'P1' | 'P2' | 'P3'
        severity_by: 'alerts' | 'person'
        category: 'service' | 'network' | 'data' | 'performance' | 'function' | 'security'
        title: string
        description: string
        cause: Record<string, string>
        state: 'open' | 'acknowledged' | 'mitigated' | 'resolved' | 'closed'
        origin: 'alerts' | 'person'
        reporter: string
        contact: string
        assignee: string
        declared_at: string
        acknowledged_at: string | null
        mitigated_at: string | null
        resolved_at: string | null
        closed_at: string | null
        paused: {
          since: string
          reason: string
          by: string
        } | null
        reopens: number
        follows: string
        arithmetic: string
        sla: ({
          clock: 'response' | 'handling' | 'recovery'
          state: 'running' | 'at_risk' | 'paused' | 'met' | 'breached'
          target: string
          due_at: string | null
          at_risk_at: string | null
          breached_at: string | null
          reason: string
          gross_ms: number
          net_ms: number
          share: number
        })[]
        updated_at: string
      })[]
      next_cursor: string | null
    }
  }
  'GET /api/incidents/{id}': {
    path: {
      id: string
    }
    reply: {
      id: string
      tenant_id: string
      severity: 'P0' | 'P1' | 'P2' | 'P3'
      severity_by: 'alerts' | 'person'
      category: 'service' | 'network' | 'data' | 'performance' | 'function' | 'security'
      title: string
      description: string
      cause: Record<string, string>
      state: 'open' | 'acknowledged' | 'mitigated' | 'resolved' | 'closed'
      origin: 'alerts' | 'person'
      reporter: string
      contact: string
      assignee: string
      declared_at: string
      acknowledged_at: string | null
      mitigated_at: string | null
      resolved_at: string | null
      closed_at: string | null
      paused: {
        since: string
        reason: string
        by: string
      } | null
      reopens: number
      follows: string
      arithmetic: string
      sla: ({
        clock: 'response' | 'handling' | 'recovery'
        state: 'running' | 'at_risk' | 'paused' | 'met' | 'breached'
        target: string
        due_at: string | null
        at_risk_at: string | null
        breached_at: string | null
        reason: string
        gross_ms: number
        net_ms: number
        share: number
      })[]
      updated_at: string
      blast: {
        requests: number
        failed: number
        users: number
        tenants: number
        share: number
      } | null
      suspects: {
        at: string
        kind: string
        what: string
        target: string
        by: string
        before_ms: number
        score: number
      }[]
      diagnosis: string
      alerts: ({
        fingerprint: string
        labels: Record<string, string>
        annotations: Record<string, string>
        starts_at: string
        ended_at: string | null
        inhibited_by: string
      })[]
      recovery: ({
        step: 'found' | 'kind' | 'remedy' | 'verify' | 'solved' | 'monitoring' | 'escalate' | 'support'
        title: {
          en: string
          zh: string
        }
        is_done: boolean
        at: string | null
        by: string
        note: string
      })[]
      runbooks: {
        name: string
        title: {
          en: string
          zh: string
        }
      }[]
      pages: ({
        at: string
        reason: string
        channels: string[]
        person: string
        state: 'intended' | 'delivered' | 'failed'
        tries: number
      })[]
      postmortem: {
        root_cause: string
        impact: string
        lessons: string
        actions: string[]
      } | null
    }
  }
  'GET /api/incidents/{id}/actions': {
    path: {
      id: string
    }
    reply: {
      available: ({
        action: string
        title: {
          en: string
          zh: string
        }
        runbooks: string[]
        parameters: Record<string, unknown>
        suggested: Record<string, unknown> | null
      })[]
      data: ({
        id: string
        action: string
        target: string
        parameters: Record<string, unknown>
        will: {
          en: string
          zh: string
        }
        undo: {
          en: string
          zh: string
        } | null
        state: 'intended' | 'done' | 'failed' | 'undoing' | 'undone'
        error: string
        by: string
        at: string
        ends_at: string | null
        updated_at: string
      })[]
    }
  }
  'GET /api/incidents/{id}/timeline': {
    path: {
      id: string
    }
    query?: {
      after?: number
      limit?: number
    }
    reply: {
      data: {
        seq: number
        at: string
        kind: string
        by: string
        text: string
        data: Record<string, unknown>
        hash: string
      }[]
      chain: {
        is_whole: boolean
        entries: number
        head: string
        message: string
      }
    }
  }
  'GET /api/logs/{id}': {
    path: {
      id: string
    }
    reply: {
      id: string
      started_at: string
      tenant_id: string
      user_id: string
      key_id: string
      key_name: string
      endpoint: string
      protocol: string
      model_asked: string
      model_served: string
      provider_id: string
      provider_name: string
      provider_type: string
      status: number
      outcome: 'success' | 'failure' | 'truncated' | 'aborted' | 'refused'
      error_code: string
      error_message: string
      stream: boolean
      tokens_in: number
      tokens_out: number
      tokens_cached_read: number
      tokens_cached_write: number
      tokens_reasoning: number
      usage_source: 'upstream' | 'estimated' | 'none'
      cost_nano_usd: number | null
      cost_usd: string | null
      price_id: string
      first_token_ms: number | null
      latency_ms: number
      attempts: number
      trace_id: string
      client_ip: string
      user_agent: string
      finish_reason: string
      is_synthetic: boolean
      service_tier: '' | 'batch' | 'flex' | 'priority'
      tokens_cached_write_1h: number
      tokens_audio_in: number
      tokens_audio_out: number
      tokens_image_in: number
      tokens_image_out: number
      images: number
      audio_ms: number
      characters: number
      searches: number
      provider_key_id: string
      session_id: string
      tags: string[]
      cache_hit: '' | 'exact'
      mirror_of: string
      wasted_nano_usd: number | null
      wasted_usd: string | null
      abort_policy: '' | 'drain' | 'cancel'
      agent: string
      service: string
      attempt_log: {
        provider: string
        model: string
        status: number
        code: string
        duration_ms: number
        key_id?: string
        provider_type?: string
        wasted_in?: number
        wasted_out?: number
        wasted_cached_read?: number
      }[]
      route_log: unknown
    }
  }
  'GET /api/maintenance': {
    reply: {
      enabled: boolean
      data: ({
        name: string
        rhythm: 'daily' | 'weekly' | 'monthly'
        summary: {
          en: string
          zh: string
        }
        enabled: boolean
        cron: string
        zone: string
        window_minutes: number
        is_changed: boolean
        next_at: number | null
        late_seconds: number
        last: {
          id: string
          job: string
          state: 'waiting' | 'running' | 'ok' | 'warn' | 'fail' | 'inconclusive'
          reason: '' | 'job' | 'error' | 'window' | 'killed' | 'missed' | 'stopped'
          due_at: number
          until_at: number
          wanted_by: string
          node: string
          begun_at: number | null
          finished_at: number | null
          progress: {
            done: number
            total: number
            note: string
          } | null
          message: {
            en: string
            zh: string
          }
          figures: Record<string, number>
          evidence: string[]
        } | null
      })[]
      open: ({
        id: string
        job: string
        state: 'waiting' | 'running' | 'ok' | 'warn' | 'fail' | 'inconclusive'
        reason: '' | 'job' | 'error' | 'window' | 'killed' | 'missed' | 'stopped'
        due_at: number
        until_at: number
        wanted_by: string
        node: string
        begun_at: number | null
        finished_at: number | null
        progress: {
          done: number
          total: number
          note: string
        } | null
        message: {
          en: string
          zh: string
        }
        figures: Record<string, number>
        evidence: string[]
      })[]
    }
  }
  'GET /api/maintenance/calendar': {
    query?: {
      from?: number
      to?: number
    }
    reply: {
      from: number
      to: number
      data: ({
        kind: 'planned' | 'run' | 'window'
        from: number
        to: number | null
        name: string
        state: 'waiting' | 'running' | 'ok' | 'warn' | 'fail' | 'inconclusive' | null
        run_id: string | null
      })[]
      is_cut: boolean
    }
  }
  'GET /api/maintenance/runs': {
    query?: {
      job?: string
      state?: 'waiting' | 'running' | 'ok' | 'warn' | 'fail' | 'inconclusive'
      limit?: number
      cursor?: string
    }
    reply: {
      data: ({
        id: string
        job: string
        state: 'waiting' | 'running' | 'ok' | 'warn' | 'fail' | 'inconclusive'
        reason: '' | 'job' | 'error' | 'window' | 'killed' | 'missed' | 'stopped'
        due_at: number
        until_at: number
        wanted_by: string
        node: string
        begun_at: number | null
        finished_at: number | null
        progress: {
          done: number
          total: number
          note: string
        } | null
        message: {
          en: string
          zh: string
        }
        figures: Record<string, number>
        evidence: string[]
      })[]
      next_cursor: string | null
    }
  }
  'GET /api/maintenance/runs/{id}': {
    path: {
      id: string
    }
    reply: {
      id: string
      job: string
      state: 'waiting' | 'running' | 'ok' | 'warn' | 'fail' | 'inconclusive'
      reason: '' | 'job' | 'error' | 'window' | 'killed' | 'missed' | 'stopped'
      due_at: number
      until_at: number
      wanted_by: string
      node: string
      begun_at: number | null
      finished_at: number | null
      progress: {
        done: number
        total: number
        note: string
      } | null
      message: {
        en: string
        zh: string
      }
      figures: Record<string, number>
      evidence: string[]
    }
  }
  'GET /api/models': {
    reply: ({
      id: string
      name: string
      remark: string
      max_retry: number | null
      timeout: number | null
      max_output_tokens: number | null
      enabled: boolean
      abort_policy: string
      mirror: {
        model: string
        percent: number
        max_bytes: number
        store: 'metrics' | 'text'
      } | null
      alias_of: string
      policy: string
      access_groups: string[]
      first_token_timeout: number | null
      idle_timeout: number | null
      transform: {
        rename?: Record<string, string>
        remove?: string[]
        defaults?: Record<string, unknown>
        set?: Record<string, unknown>
        headers?: Record<string, string>
      }
      is_synthetic: boolean
      created_at: string
      updated_at: string
    })[]
  }
  'GET /api/on-call': {
    reply: {
      schedules: ({
        name: string
        schedule: {
          zone: string
          members: {
            name: string
            channels: string[]
          }[]
          every: 'day' | 'week'
          turns_of: number
          handoff: string
          starts_on: string
          overrides: {
            from: string
            to: string
            member: {
              name: string
              channels: string[]
            }
          }[]
        }
        now: {
          name: string
          channels: string[]
          from: string
          until: string
          is_override: boolean
        } | null
        next: {
          name: string
          channels: string[]
          from: string
          until: string
          is_override: boolean
        }[]
      })[]
      policies: ({
        severity: 'P0' | 'P1' | 'P2' | 'P3'
        is_default: boolean
        policy: {
          steps: {
            after_minutes: number
            on_call: string[]
            channels: string[]
          }[]
          repeats: number
          repeat_minutes: number
          unacknowledge_minutes: number
        }
      })[]
    }
  }
  'GET /api/provider-types': {
    reply: {
      types: ({
        type: string
        title: string
        protocols: string[]
        base_url: string | null
        needs_key: boolean
        key_hint: string
        options: Record<string, unknown>
      })[]
      presets: ({
        id: string
        title: string
        base_url: string | null
        docs: string
        quirks: Record<string, unknown>
      })[]
    }
  }
  'GET /api/providers': {
    query?: {
      enabled_only?: string
    }
    reply: ({
      id: string
      name: string
      type: string
      api_key: string
      base_url: string | null
      enabled: boolean
      priority: number
      weight: number
      max_retries: number
      timeout: number
      rate_limit: number | null
      options: Record<string, unknown>
      tenants: string[]
      tags: string[]
      first_token_timeout: number | null
      idle_timeout: number | null
      transform: {
        rename?: Record<string, string>
        remove?: string[]
        defaults?: Record<string, unknown>
        set?: Record<string, unknown>
        headers?: Record<string, string>
      }
      key_state: string
      key_state_reason: string
      is_synthetic: boolean
      created_at: string
      updated_at: string
    })[]
  }
  'GET /api/providers/{id}/keys': {
    path: {
      id: string
    }
    reply: {
      data: ({
        id: string
        provider_id: string
        name: string
        api_key: string
        weight: number
        enabled: boolean
        rate_limit: number | null
        token_limit: number | null
        concurrency_limit: number | null
        state: 'ready' | 'resting' | 'dead'
        state_reason: string
        rests_ms: number
        created_at: string
        updated_at: string
      })[]
      next_cursor: null
    }
  }
  'GET /api/providers/{id}/models': {
    path: {
      id: string
    }
    reply: {
      provider_id: string
      provider_name: string
      provider_type: string
      models: string[]
    }
  }
  'GET /api/providers/{id}/traffic': {
    path: {
      id: string
    }
    reply: {
      data: ({
        key_id: string
        key: string
        model: string
        breaker: 'closed' | 'open' | 'half_open'
        opens_in_ms: number
        succeeded: number
        failed: number
        in_flight: number
        latency_ms: number | null
      })[]
      next_cursor: null
    }
  }
  'GET /api/receivers': {
    query?: {
      limit?: number
      cursor?: string
    }
    reply: {
      data: ({
        id: string
        tenant_id: string
        name: string
        description: string
        targets: ({
          channel_id: string
          severities: ('critical' | 'high' | 'warning' | 'info')[]
          times: {
            zone: string
            days: number[]
            from: string
            to: string
          }[]
        })[]
        created_at: string | null
        updated_at: string | null
      })[]
      next_cursor: string | null
    }
  }
  'GET /api/registry/services/{id}': {
    path: {
      id: string
    }
    reply: {
      id: string
      name: string
      tenant_id: string
      display_name: string
      description: string
      version: string
      host: string
      port: number
      base_path: string
      url: string
      is_active: boolean
      enabled: boolean
      health_check_url: string | null
      last_heartbeat: string | null
      service_metadata: Record<string, unknown>
      tags: string[]
      requires_auth: boolean
      is_shared: boolean
      declared_only: boolean
      routing: {
        balance: 'weighted_round_robin' | 'power_of_two' | 'consistent_hash'
        hash_by: string
        connect_timeout_ms: number
        answer_timeout_ms: number
        idle_timeout_ms: number
        retries: number
        canary: {
          tag: string
          percent: number
          header: string
          header_value: string
        } | null
      }
      deregister_after: number
      openapi: string | null
      endpoints: ({
        id: string
        service_id: string
        path: string
        method: string
        description: string | null
        required_roles: string[]
        is_public: boolean
        rate_limit: number | null
        created_at: string
      })[]
      instances: ({
        id: string
        instance_id: string
        host: string
        port: number
        weight: number
        version: string
        tags: string[]
        state: 'starting' | 'passing' | 'warning' | 'critical' | 'draining' | 'maintenance' | 'gone'
        state_since: string
        ephemeral: boolean
        registered_at: string
        last_heartbeat: string
      })[]
      warnings: string[]
      created_at: string
      updated_at: string
    }
  }
  'GET /api/risk/findings/{id}': {
    path: {
      id: string
    }
    reply: {
      id: string
      rule: string
      severity: 'low' | 'medium' | 'high' | 'critical'
      source: string
      kind: 'key' | 'ip' | 'user_model' | 'budget'
      entity: string
      tenant_id: string | null
      key_id: string
      user_id: string
      ip: string
      status: 'open' | 'closed'
      numbers: Record<string, string | number>
      detections: number
      first_at: string
      last_at: string
      opened_at: string
      closed_at: string | null
      closed_by: string
      muted_until: string | null
      docs: string
      evidence: {
        window_from: string
        window_to: string
        top_ips: {
          value: string
          count: number
        }[]
        top_models: {
          value: string
          count: number
        }[]
        last_calls: ({
          id: string
          at: string
          user_id: string
          key_id: string
          model: string
          provider: string
          ip: string
          tokens_in: number
          tokens_out: number
          cost_nano_usd: number | null
          status: number
          outcome: string
        })[]
      }
      actions: ({
        id: string
        finding_id: string
        kind: 'note' | 'notify' | 'throttle' | 'downgrade' | 'suspend'
        state: 'proposed' | 'intended' | 'done' | 'undoing' | 'expiring' | 'undone' | 'expired' | 'refused' | 'failed'
        tenant_id: string | null
        key_id: string
        user_id: string
        rpm: number | null
        model: string | null
        ttl_seconds: number
        expires_at: string | null
        decided_by: string
        error: string
        created_at: string
        updated_at: string
      })[]
    }
  }
  'GET /api/risk/rules': {
    reply: {
      data: ({
        enabled: boolean
        severity: 'low' | 'medium' | 'high' | 'critical'
        quiet_seconds: number
        params: Record<string, number | string | boolean>
        steps: ({
          kind: 'note' | 'notify' | 'throttle' | 'downgrade' | 'suspend'
          after_seconds: number
          ttl_seconds: number
          approval: 'auto' | 'ask'
          rpm: number
          model: string
        })[]
        name: string
        on: 'key' | 'ip' | 'user_model' | 'budget'
        about: {
          en: string
          zh: string
        }
        params_schema: unknown
      })[]
      allow: {
        ips: string[]
        users: string[]
        tokens: string[]
      }
    }
  }
  'GET /api/routes/explain': {
    query: {
      request_id: string
    }
    reply: {
      request_id: string
      summary: string
      plain: boolean
      model: string
      policy: string
      candidates: {
        provider: string
        key: string
        model: string
        tier: number
      }[]
      excluded: {
        provider: string
        model: string
        tier: number
        reason: string
      }[]
      attempts: ({
        provider: string
        key: string
        model: string
        status: number
        code: string
        waited_ms: number
        duration_ms: number | null
      })[]
      served: {
        provider: string
        key: string
        model: string
        tier: number
      } | null
      refused: string
    }
  }
  'GET /api/runbooks/{name}': {
    path: {
      name: string
    }
    reply: {
      name: string
      title: {
        en: string
        zh: string
      }
      categories: ('service' | 'network' | 'data' | 'performance' | 'function' | 'security')[]
      markdown: string
    }
  }
  'GET /api/sessions': {
    query?: {
      user_id?: string
      session_id?: string
      from?: string
      to?: string
      limit?: number
      cursor?: string
    }
    reply: {
      data: {
        id: string
        session_id: string
        tenant_id: string
        user_id: string
        key_id: string
        model: string
        first_at: string
        last_at: string
        calls: number
        failures: number
        tokens_in: number
        tokens_out: number
        cost_nano_usd: number
        cost_usd: string
        unpriced_calls: number
      }[]
      next_cursor: string | null
    }
  }
  'GET /api/sessions/{id}/messages': {
    path: {
      id: string
    }
    query?: {
      limit?: number
      cursor?: string
      format?: 'json' | 'markdown'
    }
    reply: {
      data: ({
        id: string
        session_id: string
        request_id: string
        user_id: string
        role: 'user' | 'assistant' | 'tool'
        name: string
        content: string
        tool_calls: {
          name: string
          arguments: string
        }[]
        is_from_user: boolean
        is_from_bot: boolean
        timestamp: string
        expires_at: string
        digest: string
      })[]
      next_cursor: string | null
    }
  }
  'GET /api/sla': {
    query?: {
      from?: string
      to?: string
    }
    reply: {
      from: string
      to: string
      zone: string
      targets: ({
        severity: 'P0' | 'P1' | 'P2' | 'P3'
        calendar: '24x7' | 'working'
        response: string
        handling: string
        recovery: string
      })[]
      data: ({
        severity: 'all' | 'P0' | 'P1' | 'P2' | 'P3'
        opened: number
        active: number
        at_risk: number
        reopened: number
        mtta_ms: number | null
        mttr_ms: number | null
        clocks: ({
          clock: 'response' | 'handling' | 'recovery'
          met: number
          breached: number
          share: number | null
          mean_gross_ms: number | null
          mean_net_ms: number | null
          p50_gross_ms: number | null
          p95_gross_ms: number | null
        })[]
      })[]
    }
  }
  'GET /api/sources/{id}/status': {
    path: {
      id: string
    }
    reply: {
      id: string
      name: string
      kind: 'new-api'
      place: string
      enabled: boolean
      quota_per_usd: number
      rows_per_second: number | null
      state: 'waiting' | 'reading' | 'degraded' | 'unreachable' | 'refused' | 'unreadable' | 'failed' | 'off'
      created_at: string
      updated_at: string
      message: string
      read_up_to: string | null
      lag_seconds: number | null
      last_row_at: string | null
      last_row_id: number | null
      rows_read: number
      rows_per_second_now: number
      backfill: {
        state: 'none' | 'running' | 'paused' | 'done'
        from: string | null
        to: string | null
        reached: string | null
        progress: number
        rows: number
      }
      schema: {
        ok: boolean
        problem: string | null
        version: string
        where: string[]
        columns: string[]
        degraded: {
          column: string
          why: string
          effect: string
        }[]
        grants: string[]
        warnings: string[]
        first_row_at: string | null
        last_row_at: string | null
      } | null
    }
  }
  'GET /api/stats/heatmap': {
    query: {
      start_ms: number
      end_ms: number
      tenant?: string | string[]
      user?: string | string[]
      key?: string | string[]
      agent?: string | string[]
      model_asked?: string | string[]
      model?: string | string[]
      provider?: string | string[]
      provider_key?: string | string[]
      endpoint?: string | string[]
      status_class?: string | string[]
      error_kind?: string | string[]
      cache_hit?: string | string[]
      stream?: string | string[]
      service?: string | string[]
      source?: string | string[]
      tag?: string | string[]
      time_zone?: string
    }
    reply: {
      data: {
        weekday: number
        hour: number
        reqs: number
        tokens: number
        quota_sum: number
        tokens_in: number
        tokens_out: number
        tokens_cached_read: number
        tokens_cached_write: number
        tokens_reasoning: number
        successes: number
        failures: number
        cost_nano_usd: number
        unpriced_requests: number
        wasted_nano_usd: number
      }[]
      time_zone: string
      as_of: number
      lag_ms: number
      pending: number
      is_exact: boolean
      answered_by: 'store' | 'clickhouse'
    }
  }
  'GET /api/stats/kpi': {
    query: {
      start_ms: number
      end_ms: number
      tenant?: string | string[]
      user?: string | string[]
      key?: string | string[]
      agent?: string | string[]
      model_asked?: string | string[]
      model?: string | string[]
      provider?: string | string[]
      provider_key?: string | string[]
      endpoint?: string | string[]
      status_class?: string | string[]
      error_kind?: string | string[]
      cache_hit?: string | string[]
      stream?: string | string[]
      service?: string | string[]
      source?: string | string[]
      tag?: string | string[]
    }
    reply: {
      data: {
        reqs: number
        tokens: number
        quota_sum: number
        tokens_in: number
        tokens_out: number
        tokens_cached_read: number
        tokens_cached_write: number
        tokens_reasoning: number
        successes: number
        failures: number
        cost_nano_usd: number
        unpriced_requests: number
        wasted_nano_usd: number
        users: number
        tokens_cnt: number
        aborted: number
        refused: number
        cache_hits: number
        success_rate: number | null
        tokens_per_second: number | null
        latency_ms_avg: number | null
        first_token_ms_avg: number | null
        latency_ms_p50: number | null
        latency_ms_p95: number | null
        latency_ms_p99: number | null
        first_token_ms_p50: number | null
        first_token_ms_p95: number | null
      }
      previous: {
        reqs: number
        tokens: number
        quota_sum: number
        tokens_in: number
        tokens_out: number
        tokens_cached_read: number
        tokens_cached_write: number
        tokens_reasoning: number
        successes: number
        failures: number
        cost_nano_usd: number
        unpriced_requests: number
        wasted_nano_usd: number
        users: number
        tokens_cnt: number
        aborted: number
        refused: number
        cache_hits: number
        success_rate: number | null
        tokens_per_second: number | null
        latency_ms_avg: number | null
        first_token_ms_avg: number | null
        latency_ms_p50: number | null
        latency_ms_p95: number | null
        latency_ms_p99: number | null
        first_token_ms_p50: number | null
        first_token_ms_p95: number | null
      }
      as_of: number
      lag_ms: number
      pending: number
      is_exact: boolean
      answered_by: 'store' | 'clickhouse'
    }
  }
  'GET /api/stats/series': {
    query: {
      start_ms: number
      end_ms: number
      tenant?: string | string[]
      user?: string | string[]
      key?: string | string[]
      agent?: string | string[]
      model_asked?: string | string[]
      model?: string | string[]
      provider?: string | string[]
      provider_key?: string | string[]
      endpoint?: string | string[]
      status_class?: string | string[]
      error_kind?: string | string[]
      cache_hit?: string | string[]
      stream?: string | string[]
      service?: string | string[]
      source?: string | string[]
      tag?: string | string[]
      slot_sec?: number
    }
    reply: {
      data: {
        bucket: number
        users: number
        tokens_cnt: number
        reqs: number
        tokens: number
        quota_sum: number
        tokens_in: number
        tokens_out: number
        tokens_cached_read: number
        tokens_cached_write: number
        tokens_reasoning: number
        successes: number
        failures: number
        cost_nano_usd: number
        unpriced_requests: number
        wasted_nano_usd: number
      }[]
      total_points: number
      as_of: number
      lag_ms: number
      pending: number
      is_exact: boolean
      answered_by: 'store' | 'clickhouse'
    }
  }
  'GET /api/stats/top': {
    query: {
      start_ms: number
      end_ms: number
      tenant?: string | string[]
      user?: string | string[]
      key?: string | string[]
      agent?: string | string[]
      model_asked?: string | string[]
      model?: string | string[]
      provider?: string | string[]
      provider_key?: string | string[]
      endpoint?: string | string[]
      status_class?: string | string[]
      error_kind?: string | string[]
      cache_hit?: string | string[]
      stream?: string | string[]
      service?: string | string[]
      source?: string | string[]
      tag?: string | string[]
      by: 'user' | 'token' | 'model' | 'channel' | 'tenant' | 'agent' | 'model_asked' | 'service' | 'endpoint' | 'error_kind' | 'tag' | 'source'
      metric: 'tokens' | 'reqs' | 'quota_sum' | 'cost' | 'failures' | 'wasted' | 'tokens_in' | 'tokens_out'
      limit?: number
    }
    reply: {
      data: ({
        user_id?: string
        token_id?: string
        channel_id?: string
        tenant_id?: string
        username?: string | null
        token_name?: string | null
        model_name?: string | null
        channel_name?: string | null
        agent_name?: string | null
        service_name?: string | null
        endpoint?: string | null
        error_kind?: string | null
        tag?: string | null
        source?: string | null
        reqs: number
        tokens: number
        quota_sum: number
        tokens_in: number
        tokens_out: number
        tokens_cached_read: number
        tokens_cached_write: number
        tokens_reasoning: number
        successes: number
        failures: number
        cost_nano_usd: number
        unpriced_requests: number
        wasted_nano_usd: number
      })[]
      by: string
      metric: string
      limit: number
      as_of: number
      lag_ms: number
      pending: number
      is_exact: boolean
      answered_by: 'store' | 'clickhouse'
    }
  }
  'GET /api/status-page': {
    reply: {
      status: 'operational' | 'degraded' | 'outage' | 'maintenance' | 'unknown'
      at: string
      checks: ({
        id: string
        name: string
        level: 'container' | 'service' | 'application' | 'business'
        state: 'up' | 'down' | 'pending' | 'inconclusive' | 'maintenance'
        uptime_day: number | null
        uptime_month: number | null
        state_since: string | null
      })[]
    }
  }
  'GET /version': {
    reply: {
      version: string
      api_version: 'v1'
      node: string
      environment?: string
    }
  }
  'PATCH /api/auth/me': {
    body: {
      name?: string
      username?: string | null
      language?: 'en' | 'zh' | ''
    }
    reply: {
      id: string
      email: string
      username: string | null
      name: string
      language: string
      role: 'super_admin' | 'tenant_admin' | 'user'
      tenant_id: string
      enabled: boolean
      is_active: boolean
      totp_enabled: boolean
      created_at: string | null
      last_login_at: string | null
      last_login: string | null
    }
  }
  'PATCH /api/checks/{id}': {
    path: {
      id: string
    }
    body: {
      name?: string
      level?: 'container' | 'service' | 'application' | 'business'
      description?: string
      parameters?: Record<string, unknown>
      interval_seconds?: number
      retry_interval_seconds?: number
      timeout_seconds?: number
      retries?: number
      failures?: number
      successes?: number
      enabled?: boolean
      is_public?: boolean
      is_upside_down?: boolean
      depends_on?: string[]
      windows?: ({
        kind: 'cron'
        cron: string
        zone?: string
        minutes: number
      } | {
        kind: 'once'
        from: string
        to: string
      })[]
    }
    reply: {
      id: string
      tenant_id: string
      type: string
      name: string
      level: 'container' | 'service' | 'application' | 'business'
      description: string
      parameters: Record<string, unknown>
      interval_seconds: number
      retry_interval_seconds: number
      timeout_seconds: number
      retries: number
      failures: number
      successes: number
      enabled: boolean
      is_public: boolean
      is_upside_down: boolean
      depends_on: string[]
      windows: Record<string, unknown>[]
      has_push_token: boolean
      state: 'up' | 'down' | 'pending' | 'inconclusive' | 'maintenance' | 'paused'
      is_warning: boolean
      reason: string
      message: string
      observed: Record<string, number | string | boolean>
      latency_ms: number | null
      state_since: string | null
      checked_at: string | null
      last_ok_at: string | null
      suppressed_by: string
      created_at: string | null
      updated_at: string | null
    }
  }
  'PATCH /api/config': {
    body: {
      set: Record<string, unknown>
    }
    reply: {
      revision: {
        id: string
        at: string
        node: string
        author: {
          kind: string
          id: string
          name: string
        }
        origin: 'start' | 'signal' | 'api' | 'command' | 'rollback'
        outcome: 'watched' | 'kept' | 'rolled_back'
        reason: string
        diff: {
          name: string
          before: unknown
          after: unknown
        }[]
        applied: string[]
        waiting: string[]
      } | null
      applied: string[]
      waiting: string[]
      watched_until: string | null
      findings: ({
        level: 'error' | 'warning'
        where: string
        setting: string
        cause: {
          en: string
          zh: string
        }
        remedy: {
          en: string
          zh: string
        }
      })[]
    }
  }
  'PATCH /api/maintenance/jobs/{name}': {
    path: {
      name: string
    }
    body: {
      enabled?: boolean
      cron?: string
      zone?: string
      window_minutes?: number
    }
    reply: {
      name: string
      rhythm: 'daily' | 'weekly' | 'monthly'
      summary: {
        en: string
        zh: string
      }
      enabled: boolean
      cron: string
      zone: string
      window_minutes: number
      is_changed: boolean
      next_at: number | null
      late_seconds: number
      last: {
        id: string
        job: string
        state: 'waiting' | 'running' | 'ok' | 'warn' | 'fail' | 'inconclusive'
        reason: '' | 'job' | 'error' | 'window' | 'killed' | 'missed' | 'stopped'
        due_at: number
        until_at: number
        wanted_by: string
        node: string
        begun_at: number | null
        finished_at: number | null
        progress: {
          done: number
          total: number
          note: string
        } | null
        message: {
          en: string
          zh: string
        }
        figures: Record<string, number>
        evidence: string[]
      } | null
    }
  }
  'PATCH /api/risk/rules/{name}': {
    path: {
      name: string
    }
    body: {
      enabled?: boolean
      severity?: 'low' | 'medium' | 'high' | 'critical'
      quiet_seconds?: number
      params?: Record<string, number | string | boolean>
      steps?: ({
        kind: 'note' | 'notify' | 'throttle' | 'downgrade' | 'suspend'
        after_seconds?: number
        ttl_seconds?: number
        approval?: 'auto' | 'ask'
        rpm?: number
        model?: string
      })[]
    }
    reply: {
      enabled: boolean
      severity: 'low' | 'medium' | 'high' | 'critical'
      quiet_seconds: number
      params: Record<string, number | string | boolean>
      steps: ({
        kind: 'note' | 'notify' | 'throttle' | 'downgrade' | 'suspend'
        after_seconds: number
        ttl_seconds: number
        approval: 'auto' | 'ask'
        rpm: number
        model: string
      })[]
      name: string
      on: 'key' | 'ip' | 'user_model' | 'budget'
      about: {
        en: string
        zh: string
      }
      params_schema: unknown
    }
  }
  'POST /api/alert-rules/backtest': {
    body: {
      id?: string
      rule?: {
        alert?: string
        record?: string
        name_en?: string
        name_zh?: string
        expr: string
        for?: string
        keep_firing_for?: string
        labels?: Record<string, string>
        annotations?: Record<string, string>
        interval?: string | null
        limit?: number
        no_data?: 'keep_state' | 'alert' | 'ok' | 'resolve' | null
        on_error?: 'keep_state' | 'alert' | null
        enabled?: boolean
      }
      days?: number
      interval?: string
    }
    reply: {
      summary: string
      from: string
      to: string
      evaluations: number
      fired: number
      shorter_than_5m: number
      no_data: number
      errors: number
      last_error: string
      alternatives: {
        for: string
        fired: number
      }[]
      episodes: ({
        labels: Record<string, string>
        fired_at: string
        ended_at: string | null
        seconds: number
      })[]
    }
  }
  'POST /api/alert-rules/{id}/test': {
    path: {
      id: string
    }
    reply: {
      at: string
      health: 'unknown' | 'ok' | 'nodata' | 'error'
      error: string
      alerts: {
        labels: Record<string, string>
        annotations: Record<string, string>
        value: string
      }[]
      samples: {
        labels: Record<string, string>
        value: string
      }[]
    }
  }
  'POST /api/alerts/routing/try': {
    body: {
      labels: Record<string, string>
      routing?: {
        route: unknown
        inhibit_rules?: {
          name?: string
          source_matchers?: string[]
          target_matchers?: string[]
          source_match?: Record<string, string>
          source_match_re?: Record<string, string>
          target_match?: Record<string, string>
          target_match_re?: Record<string, string>
          equal?: string[]
        }[]
        time_intervals?: {
          name: string
          time_intervals: {
            times?: {
              start_time: string
              end_time: string
            }[]
            weekdays?: string[]
            days_of_month?: string[]
            months?: string[]
            years?: string[]
            location?: string
          }[]
        }[]
      }
      at?: string | number
    }
    reply: {
      data: ({
        receiver: string
        route: string
        group_key: string
        group_labels: Record<string, string>
        path: {
          route: string
          matchers: string
          continue: boolean
        }[]
        group_wait_seconds: number
        group_interval_seconds: number
        repeat_interval_seconds: number
        muted_by: string | null
      })[]
    }
  }
  'POST /api/alerts/routing/validate': {
    body: Record<string, unknown>
    reply: {
      valid: boolean
      errors: string[]
      receivers: string[]
    }
  }
  'POST /api/auth/password': {
    body: {
      current_password: string
      new_password: string
    }
    reply: unknown
  }
  'POST /api/auth/setup': {
    body: {
      token?: string
      email: string
      password: string
      name?: string
    }
    reply: {
      access_token: string
      refresh_token: string
      token_type: 'bearer'
      expires_in: number
      user: {
        id: string
        email: string
        username: string | null
        name: string
        language: string
        role: 'super_admin' | 'tenant_admin' | 'user'
        tenant_id: string
        enabled: boolean
        is_active: boolean
        totp_enabled: boolean
        created_at: string | null
        last_login_at: string | null
        last_login: string | null
      }
    }
  }
  'POST /api/auth/totp': {
    body: {
      password?: string
    }
    reply: {
      secret: string
      otpauth_url: string
    }
  }
  'POST /api/auth/totp/confirm': {
    body: {
      code: string
    }
    reply: {
      recovery_codes: string[]
    }
  }
  'POST /api/backups': {
    query?: {
      wait?: string
    }
    body: {
      kind?: 'full' | 'increment'
    }
    reply: {
      id: string
      kind: 'full' | 'increment' | 'migration' | 'safety' | 'verify' | 'drill'
      outcome: 'running' | 'ok' | 'failed' | 'inconclusive'
      backup_id: string
      started_at: number
      finished_at: number | null
      bytes: number
      rows: number
      message: string
      details: Record<string, unknown>
    }
  }
  'POST /api/backups/drills': {
    query?: {
      wait?: string
    }
    reply: {
      id: string
      kind: 'full' | 'increment' | 'migration' | 'safety' | 'verify' | 'drill'
      outcome: 'running' | 'ok' | 'failed' | 'inconclusive'
      backup_id: string
      started_at: number
      finished_at: number | null
      bytes: number
      rows: number
      message: string
      details: Record<string, unknown>
    }
  }
  'POST /api/config/import': {
    body: {
      document: string
      on_conflict?: 'skip' | 'update' | 'replace'
      choices?: Record<string, 'skip' | 'update' | 'replace'>
      passphrase?: string
      dry_run?: boolean
    }
    reply: {
      dry_run: boolean
      counts: Record<string, number>
      items: ({
        kind: string
        name: string
        action: 'created' | 'updated' | 'replaced' | 'unchanged' | 'skipped'
        changes: string[]
        note: string
      })[]
    }
  }
  'POST /api/config/import.xlsx': {
    body: {
      workbook: string
      on_conflict?: 'skip' | 'update' | 'replace'
      choices?: Record<string, 'skip' | 'update' | 'replace'>
      passphrase?: string
      dry_run?: boolean
    }
    reply: {
      dry_run: boolean
      counts: Record<string, number>
      items: ({
        kind: string
        name: string
        action: 'created' | 'updated' | 'replaced' | 'unchanged' | 'skipped'
        changes: string[]
        note: string
      })[]
    }
  }
  'POST /api/config/reload': {
    reply: {
      revision: {
        id: string
        at: string
        node: string
        author: {
          kind: string
          id: string
          name: string
        }
        origin: 'start' | 'signal' | 'api' | 'command' | 'rollback'
        outcome: 'watched' | 'kept' | 'rolled_back'
        reason: string
        diff: {
          name: string
          before: unknown
          after: unknown
        }[]
        applied: string[]
        waiting: string[]
      } | null
      applied: string[]
      waiting: string[]
      watched_until: string | null
      findings: ({
        level: 'error' | 'warning'
        where: string
        setting: string
        cause: {
          en: string
          zh: string
        }
        remedy: {
          en: string
          zh: string
        }
      })[]
    }
  }
  'POST /api/config/revisions/{id}/rollback': {
    path: {
      id: string
    }
    reply: {
      revision: {
        id: string
        at: string
        node: string
        author: {
          kind: string
          id: string
          name: string
        }
        origin: 'start' | 'signal' | 'api' | 'command' | 'rollback'
        outcome: 'watched' | 'kept' | 'rolled_back'
        reason: string
        diff: {
          name: string
          before: unknown
          after: unknown
        }[]
        applied: string[]
        waiting: string[]
      } | null
      applied: string[]
      waiting: string[]
      watched_until: string | null
      findings: ({
        level: 'error' | 'warning'
        where: string
        setting: string
        cause: {
          en: string
          zh: string
        }
        remedy: {
          en: string
          zh: string
        }
      })[]
    }
  }
  'POST /api/config/validate': {
    body: {
      toml?: string
      live?: boolean
    }
    reply: {
      ok: boolean
      diff: {
        name: string
        before: unknown
        after: unknown
      }[]
      findings: ({
        level: 'error' | 'warning'
        where: string
        setting: string
        cause: {
          en: string
          zh: string
        }
        remedy: {
          en: string
          zh: string
        }
      })[]
    }
  }
  'POST /api/incidents/{id}/ack': {
    path: {
      id: string
    }
    body: {
      note?: string
    }
    reply: {
      id: string
      tenant_id: string
      severity: 'P0' | 'P1' | 'P2' | 'P3'
      severity_by: 'alerts' | 'person'
      category: 'service' | 'network' | 'data' | 'performance' | 'function' | 'security'
      title: string
      description: string
      cause: Record<string, string>
      state: 'open' | 'acknowledged' | 'mitigated' | 'resolved' | 'closed'
      origin: 'alerts' | 'person'
      reporter: string
      contact: string
      assignee: string
      declared_at: string
      acknowledged_at: string | null
      mitigated_at: string | null
      resolved_at: string | null
      closed_at: string | null
      paused: {
        since: string
        reason: string
        by: string
      } | null
      reopens: number
      follows: string
      arithmetic: string
      sla: ({
        clock: 'response' | 'handling' | 'recovery'
        state: 'running' | 'at_risk' | 'paused' | 'met' | 'breached'
        target: string
        due_at: string | null
        at_risk_at: string | null
        breached_at: string | null
        reason: string
        gross_ms: number
        net_ms: number
        share: number
      })[]
      updated_at: string
    }
  }
  'POST /api/incidents/{id}/actions': {
    path: {
      id: string
    }
    body: {
      action: string
      parameters?: Record<string, unknown>
      dry_run?: boolean
      confirm?: string
    }
    reply: {
      plan: {
        target: string
        will: {
          en: string
          zh: string
        }
        undo: {
          en: string
          zh: string
        } | null
      } | null
      confirm: string
      taken: {
        id: string
        action: string
        target: string
        parameters: Record<string, unknown>
        will: {
          en: string
          zh: string
        }
        undo: {
          en: string
          zh: string
        } | null
        state: 'intended' | 'done' | 'failed' | 'undoing' | 'undone'
        error: string
        by: string
        at: string
        ends_at: string | null
        updated_at: string
      } | null
    }
  }
  'POST /api/incidents/{id}/actions/{action}/undo': {
    path: {
      id: string
      action: string
    }
    reply: {
      id: string
      action: string
      target: string
      parameters: Record<string, unknown>
      will: {
        en: string
        zh: string
      }
      undo: {
        en: string
        zh: string
      } | null
      state: 'intended' | 'done' | 'failed' | 'undoing' | 'undone'
      error: string
      by: string
      at: string
      ends_at: string | null
      updated_at: string
    }
  }
  'POST /api/incidents/{id}/assign': {
    path: {
      id: string
    }
    body: {
      assignee?: string
    }
    reply: {
      id: string
      tenant_id: string
      severity: 'P0' | 'P1' | 'P2' | 'P3'
      severity_by: 'alerts' | 'person'
      category: 'service' | 'network' | 'data' | 'performance' | 'function' | 'security'
      title: string
      description: string
      cause: Record<string, string>
      state: 'open' | 'acknowledged' | 'mitigated' | 'resolved' | 'closed'
      origin: 'alerts' | 'person'
      reporter: string
      contact: string
      assignee: string
      declared_at: string
      acknowledged_at: string | null
      mitigated_at: string | null
      resolved_at: string | null
      closed_at: string | null
      paused: {
        since: string
        reason: string
        by: string
      } | null
      reopens: number
      follows: string
      arithmetic: string
      sla: ({
        clock: 'response' | 'handling' | 'recovery'
        state: 'running' | 'at_risk' | 'paused' | 'met' | 'breached'
        target: string
        due_at: string | null
        at_risk_at: string | null
        breached_at: string | null
        reason: string
        gross_ms: number
        net_ms: number
        share: number
      })[]
      updated_at: string
    }
  }
  'POST /api/incidents/{id}/close': {
    path: {
      id: string
    }
    body: {
      note?: string
    }
    reply: {
      id: string
      tenant_id: string
      severity: 'P0' | 'P1' | 'P2' | 'P3'
      severity_by: 'alerts' | 'person'
      category: 'service' | 'network' | 'data' | 'performance' | 'function' | 'security'
      title: string
      description: string
      cause: Record<string, string>
      state: 'open' | 'acknowledged' | 'mitigated' | 'resolved' | 'closed'
      origin: 'alerts' | 'person'
      reporter: string
      contact: string
      assignee: string
      declared_at: string
      acknowledged_at: string | null
      mitigated_at: string | null
      resolved_at: string | null
      closed_at: string | null
      paused: {
        since: string
        reason: string
        by: string
      } | null
      reopens: number
      follows: string
      arithmetic: string
      sla: ({
        clock: 'response' | 'handling' | 'recovery'
        state: 'running' | 'at_risk' | 'paused' | 'met' | 'breached'
        target: string
        due_at: string | null
        at_risk_at: string | null
        breached_at: string | null
        reason: string
        gross_ms: number
        net_ms: number
        share: number
      })[]
      updated_at: string
    }
  }
  'POST /api/incidents/{id}/mitigate': {
    path: {
      id: string
    }
    body: {
      note?: string
    }
    reply: {
      id: string
      tenant_id: string
      severity: 'P0' | 'P1' | 'P2' | 'P3'
      severity_by: 'alerts' | 'person'
      category: 'service' | 'network' | 'data' | 'performance' | 'function' | 'security'
      title: string
      description: string
      cause: Record<string, string>
      state: 'open' | 'acknowledged' | 'mitigated' | 'resolved' | 'closed'
      origin: 'alerts' | 'person'
      reporter: string
      contact: string
      assignee: string
      declared_at: string
      acknowledged_at: string | null
      mitigated_at: string | null
      resolved_at: string | null
      closed_at: string | null
      paused: {
        since: string
        reason: string
        by: string
      } | null
      reopens: number
      follows: string
      arithmetic: string
      sla: ({
        clock: 'response' | 'handling' | 'recovery'
        state: 'running' | 'at_risk' | 'paused' | 'met' | 'breached'
        target: string
        due_at: string | null
        at_risk_at: string | null
        breached_at: string | null
        reason: string
        gross_ms: number
        net_ms: number
        share: number
      })[]
      updated_at: string
    }
  }
  'POST /api/incidents/{id}/notes': {
    path: {
      id: string
    }
    body: {
      text: string
      is_diagnosis?: boolean
    }
    reply: {
      id: string
      tenant_id: string
      severity: 'P0' | 'P1' | 'P2' | 'P3'
      severity_by: 'alerts' | 'person'
      category: 'service' | 'network' | 'data' | 'performance' | 'function' | 'security'
      title: string
      description: string
      cause: Record<string, string>
      state: 'open' | 'acknowledged' | 'mitigated' | 'resolved' | 'closed'
      origin: 'alerts' | 'person'
      reporter: string
      contact: string
      assignee: string
      declared_at: string
      acknowledged_at: string | null
      mitigated_at: string | null
      resolved_at: string | null
      closed_at: string | null
      paused: {
        since: string
        reason: string
        by: string
      } | null
      reopens: number
      follows: string
      arithmetic: string
      sla: ({
        clock: 'response' | 'handling' | 'recovery'
        state: 'running' | 'at_risk' | 'paused' | 'met' | 'breached'
        target: string
        due_at: string | null
        at_risk_at: string | null
        breached_at: string | null
        reason: string
        gross_ms: number
        net_ms: number
        share: number
      })[]
      updated_at: string
    }
  }
  'POST /api/incidents/{id}/pause': {
    path: {
      id: string
    }
    body: {
      reason: string
    }
    reply: {
      id: string
      tenant_id: string
      severity: 'P0' | 'P1' | 'P2' | 'P3'
      severity_by: 'alerts' | 'person'
      category: 'service' | 'network' | 'data' | 'performance' | 'function' | 'security'
      title: string
      description: string
      cause: Record<string, string>
      state: 'open' | 'acknowledged' | 'mitigated' | 'resolved' | 'closed'
      origin: 'alerts' | 'person'
      reporter: string
      contact: string
      assignee: string
      declared_at: string
      acknowledged_at: string | null
      mitigated_at: string | null
      resolved_at: string | null
      closed_at: string | null
      paused: {
        since: string
        reason: string
        by: string
      } | null
      reopens: number
      follows: string
      arithmetic: string
      sla: ({
        clock: 'response' | 'handling' | 'recovery'
        state: 'running' | 'at_risk' | 'paused' | 'met' | 'breached'
        target: string
        due_at: string | null
        at_risk_at: string | null
        breached_at: string | null
        reason: string
        gross_ms: number
        net_ms: number
        share: number
      })[]
      updated_at: string
    }
  }
  'POST /api/incidents/{id}/recovery': {
    path: {
      id: string
    }
    body: {
      step: 'found' | 'kind' | 'remedy' | 'verify' | 'solved' | 'monitoring' | 'escalate' | 'support'
      done?: boolean
      note?: string
    }
    reply: ({
      step: 'found' | 'kind' | 'remedy' | 'verify' | 'solved' | 'monitoring' | 'escalate' | 'support'
      title: {
        en: string
        zh: string
      }
      is_done: boolean
      at: string | null
      by: string
      note: string
    })[]
  }
  'POST /api/incidents/{id}/reopen': {
    path: {
      id: string
    }
    body: {
      reason: string
    }
    reply: {
      id: string
      tenant_id: string
      severity: 'P0' | 'P1' | 'P2' | 'P3'
      severity_by: 'alerts' | 'person'
      category: 'service' | 'network' | 'data' | 'performance' | 'function' | 'security'
      title: string
      description: string
      cause: Record<string, string>
      state: 'open' | 'acknowledged' | 'mitigated' | 'resolved' | 'closed'
      origin: 'alerts' | 'person'
      reporter: string
      contact: string
      assignee: string
      declared_at: string
      acknowledged_at: string | null
      mitigated_at: string | null
      resolved_at: string | null
      closed_at: string | null
      paused: {
        since: string
        reason: string
        by: string
      } | null
      reopens: number
      follows: string
      arithmetic: string
      sla: ({
        clock: 'response' | 'handling' | 'recovery'
        state: 'running' | 'at_risk' | 'paused' | 'met' | 'breached'
        target: string
        due_at: string | null
        at_risk_at: string | null
        breached_at: string | null
        reason: string
        gross_ms: number
        net_ms: number
        share: number
      })[]
      updated_at: string
    }
  }
  'POST /api/incidents/{id}/resolve': {
    path: {
      id: string
    }
    body: {
      note?: string
    }
    reply: {
      id: string
      tenant_id: string
      severity: 'P0' | 'P1' | 'P2' | 'P3'
      severity_by: 'alerts' | 'person'
      category: 'service' | 'network' | 'data' | 'performance' | 'function' | 'security'
      title: string
      description: string
      cause: Record<string, string>
      state: 'open' | 'acknowledged' | 'mitigated' | 'resolved' | 'closed'
      origin: 'alerts' | 'person'
      reporter: string
      contact: string
      assignee: string
      declared_at: string
      acknowledged_at: string | null
      mitigated_at: string | null
      resolved_at: string | null
      closed_at: string | null
      paused: {
        since: string
        reason: string
        by: string
      } | null
      reopens: number
      follows: string
      arithmetic: string
      sla: ({
        clock: 'response' | 'handling' | 'recovery'
        state: 'running' | 'at_risk' | 'paused' | 'met' | 'breached'
        target: string
        due_at: string | null
        at_risk_at: string | null
        breached_at: string | null
        reason: string
        gross_ms: number
        net_ms: number
        share: number
      })[]
      updated_at: string
    }
  }
  'POST /api/incidents/{id}/resume': {
    path: {
      id: string
    }
    body: Record<string, unknown>
    reply: {
      id: string
      tenant_id: string
      severity: 'P0' | 'P1' | 'P2' | 'P3'
      severity_by: 'alerts' | 'person'
      category: 'service' | 'network' | 'data' | 'performance' | 'function' | 'security'
      title: string
      description: string
      cause: Record<string, string>
      state: 'open' | 'acknowledged' | 'mitigated' | 'resolved' | 'closed'
      origin: 'alerts' | 'person'
      reporter: string
      contact: string
      assignee: string
      declared_at: string
      acknowledged_at: string | null
      mitigated_at: string | null
      resolved_at: string | null
      closed_at: string | null
      paused: {
        since: string
        reason: string
        by: string
      } | null
      reopens: number
      follows: string
      arithmetic: string
      sla: ({
        clock: 'response' | 'handling' | 'recovery'
        state: 'running' | 'at_risk' | 'paused' | 'met' | 'breached'
        target: string
        due_at: string | null
        at_risk_at: string | null
        breached_at: string | null
        reason: string
        gross_ms: number
        net_ms: number
        share: number
      })[]
      updated_at: string
    }
  }
  'POST /api/keys': {
    body: {
      name: string
      allowed_models?: string[] | null
      allowed_services?: string[] | null
      allowed_endpoints?: string[] | null
      allowed_ips?: string[] | null
      rate_limit?: number | null
      tpm_limit?: number | null
      concurrency_limit?: number | null
      tags?: string[]
      expires_at?: string | null
      tenant_id?: string
      service_account_id?: string
    }
    reply: {
      id: string
      name: string
      masked: string
      allowed_models: string[] | null
      allowed_services: string[] | null
      allowed_endpoints: string[] | null
      allowed_ips: string[] | null
      rate_limit: number | null
      tpm_limit: number | null
      concurrency_limit: number | null
      tags: string[]
      enabled: boolean
      expires_at: string | null
      created_at: string
      last_used_at: string | null
      rotated_at: string | null
      tenant_id: string
      user_id: string
      service_account_id: string
      service: string
      key: string
    }
  }
  'POST /api/maintenance/jobs/{name}/run': {
    path: {
      name: string
    }
    reply: {
      id: string
      job: string
      state: 'waiting' | 'running' | 'ok' | 'warn' | 'fail' | 'inconclusive'
      reason: '' | 'job' | 'error' | 'window' | 'killed' | 'missed' | 'stopped'
      due_at: number
      until_at: number
      wanted_by: string
      node: string
      begun_at: number | null
      finished_at: number | null
      progress: {
        done: number
        total: number
        note: string
      } | null
      message: {
        en: string
        zh: string
      }
      figures: Record<string, number>
      evidence: string[]
    }
  }
  'POST /api/providers': {
    body: {
      name: string
      type: 'openai' | 'azure-openai' | 'anthropic' | 'gemini' | 'bedrock' | 'vertex-anthropic' | 'vertex-gemini' | 'openai-compatible'
      api_key?: string
      base_url?: string | null
      enabled?: boolean
      priority?: number
      weight?: number
      max_retries?: number
      timeout?: number
      rate_limit?: number | null
      options?: Record<string, unknown>
      tenants?: string[]
      tags?: string[]
      first_token_timeout?: number | null
      idle_timeout?: number | null
      transform?: {
        rename?: Record<string, string>
        remove?: string[]
        defaults?: Record<string, unknown>
        set?: Record<string, unknown>
        headers?: Record<string, string>
      }
    }
    reply: {
      id: string
      name: string
      type: string
      api_key: string
      base_url: string | null
      enabled: boolean
      priority: number
      weight: number
      max_retries: number
      timeout: number
      rate_limit: number | null
      options: Record<string, unknown>
      tenants: string[]
      tags: string[]
      first_token_timeout: number | null
      idle_timeout: number | null
      transform: {
        rename?: Record<string, string>
        remove?: string[]
        defaults?: Record<string, unknown>
        set?: Record<string, unknown>
        headers?: Record<string, string>
      }
      key_state: string
      key_state_reason: string
      is_synthetic: boolean
      created_at: string
      updated_at: string
    }
  }
  'POST /api/providers/{id}/keys/{key}/revive': {
    path: {
      id: string
      key: string
    }
    reply: {
      id: string
      provider_id: string
      name: string
      api_key: string
      weight: number
      enabled: boolean
      rate_limit: number | null
      token_limit: number | null
      concurrency_limit: number | null
      state: 'ready' | 'resting' | 'dead'
      state_reason: string
      rests_ms: number
      created_at: string
      updated_at: string
    }
  }
  'POST /api/providers/{id}/models/import': {
    path: {
      id: string
    }
    body: string[] | {
      model_names: string[]
    } | null
    reply: {
      message: string
      imported: number
      skipped: number
      total: number
    }
  }
  'POST /api/providers/{id}/test': {
    path: {
      id: string
    }
    reply: {
      ok: true
      models: number
      latency_ms: number
    }
  }
  'POST /api/risk/actions/{id}/approve': {
    path: {
      id: string
    }
    reply: {
      id: string
      finding_id: string
      kind: 'note' | 'notify' | 'throttle' | 'downgrade' | 'suspend'
      state: 'proposed' | 'intended' | 'done' | 'undoing' | 'expiring' | 'undone' | 'expired' | 'refused' | 'failed'
      tenant_id: string | null
      key_id: string
      user_id: string
      rpm: number | null
      model: string | null
      ttl_seconds: number
      expires_at: string | null
      decided_by: string
      error: string
      created_at: string
      updated_at: string
    }
  }
  'POST /api/risk/actions/{id}/refuse': {
    path: {
      id: string
    }
    reply: {
      id: string
      finding_id: string
      kind: 'note' | 'notify' | 'throttle' | 'downgrade' | 'suspend'
      state: 'proposed' | 'intended' | 'done' | 'undoing' | 'expiring' | 'undone' | 'expired' | 'refused' | 'failed'
      tenant_id: string | null
      key_id: string
      user_id: string
      rpm: number | null
      model: string | null
      ttl_seconds: number
      expires_at: string | null
      decided_by: string
      error: string
      created_at: string
      updated_at: string
    }
  }
  'POST /api/risk/actions/{id}/undo': {
    path: {
      id: string
    }
    reply: {
      id: string
      finding_id: string
      kind: 'note' | 'notify' | 'throttle' | 'downgrade' | 'suspend'
      state: 'proposed' | 'intended' | 'done' | 'undoing' | 'expiring' | 'undone' | 'expired' | 'refused' | 'failed'
      tenant_id: string | null
      key_id: string
      user_id: string
      rpm: number | null
      model: string | null
      ttl_seconds: number
      expires_at: string | null
      decided_by: string
      error: string
      created_at: string
      updated_at: string
    }
  }
  'POST /api/risk/backtest': {
    body: {
      days?: number
      rules?: Record<string, {
        enabled?: boolean
        severity?: 'low' | 'medium' | 'high' | 'critical'
        quiet_seconds?: number
        params?: Record<string, number | string | boolean>
        steps?: ({
          kind: 'note' | 'notify' | 'throttle' | 'downgrade' | 'suspend'
          after_seconds?: number
          ttl_seconds?: number
          approval?: 'auto' | 'ask'
          rpm?: number
          model?: string
        })[]
      }>
      allow?: {
        ips?: string[]
        users?: string[]
        tokens?: string[]
      }
      only?: string[]
    }
    reply: {
      summary: string
      rows: number
      from: string
      to: string
      rules: {
        rule: string
        findings: number
        minutes: number
      }[]
      findings: ({
        rule: string
        entity: string
        severity: string
        first_at: string
        last_at: string
        minutes: number
        numbers: Record<string, string | number>
      })[]
    }
  }
  'POST /api/sources/{id}/backfill': {
    path: {
      id: string
    }
    body: {
      from?: string | null
      to?: string | null
    } | null
    reply: {
      id: string
      name: string
      kind: 'new-api'
      place: string
      enabled: boolean
      quota_per_usd: number
      rows_per_second: number | null
      state: 'waiting' | 'reading' | 'degraded' | 'unreachable' | 'refused' | 'unreadable' | 'failed' | 'off'
      created_at: string
      updated_at: string
      message: string
      read_up_to: string | null
      lag_seconds: number | null
      last_row_at: string | null
      last_row_id: number | null
      rows_read: number
      rows_per_second_now: number
      backfill: {
        state: 'none' | 'running' | 'paused' | 'done'
        from: string | null
        to: string | null
        reached: string | null
        progress: number
        rows: number
      }
      schema: {
        ok: boolean
        problem: string | null
        version: string
        where: string[]
        columns: string[]
        degraded: {
          column: string
          why: string
          effect: string
        }[]
        grants: string[]
        warnings: string[]
        first_row_at: string | null
        last_row_at: string | null
      } | null
    }
  }
  'POST /api/sources/{id}/test': {
    path: {
      id: string
    }
    reply: {
      ok: boolean
      problem: string | null
      version: string
      where: string[]
      columns: string[]
      degraded: {
        column: string
        why: string
        effect: string
      }[]
      grants: string[]
      warnings: string[]
      first_row_at: string | null
      last_row_at: string | null
    }
  }
  'POST /api/stats/query': {
    body: {
      from: string | number
      to: string | number
      time_zone?: string
      granularity?: 'minute' | '5m' | '15m' | '30m' | 'hour' | 'day' | 'week' | 'month' | null
      dimensions?: ('tenant' | 'user' | 'key' | 'agent' | 'model_asked' | 'model' | 'provider' | 'provider_key' | 'endpoint' | 'status_class' | 'error_kind' | 'cache_hit' | 'stream' | 'service' | 'source' | 'tag')[]
      measures?: ('requests' | 'successes' | 'failures' | 'aborted' | 'truncated' | 'refused' | 'attempts' | 'tokens_in' | 'tokens_out' | 'tokens_cached_read' | 'tokens_cached_write' | 'tokens_reasoning' | 'cost_nano_usd' | 'unpriced_requests' | 'wasted_nano_usd' | 'unpriced_wasted' | 'cache_hits' | 'tokens' | 'success_rate' | 'latency_ms_avg' | 'first_token_ms_avg' | 'tokens_per_second' | 'distinct_users' | 'distinct_keys' | 'distinct_ips' | 'latency_ms_p50' | 'latency_ms_p90' | 'latency_ms_p95' | 'latency_ms_p99' | 'first_token_ms_p50' | 'first_token_ms_p90' | 'first_token_ms_p95' | 'first_token_ms_p99')[]
      filters?: {
        tenant?: string | string[]
        user?: string | string[]
        key?: string | string[]
        agent?: string | string[]
        model_asked?: string | string[]
        model?: string | string[]
        provider?: string | string[]
        provider_key?: string | string[]
        endpoint?: string | string[]
        status_class?: string | string[]
        error_kind?: string | string[]
        cache_hit?: string | string[]
        stream?: string | string[]
        service?: string | string[]
        source?: string | string[]
        tag?: string | string[]
      }
      order_by?: 'requests' | 'successes' | 'failures' | 'tokens' | 'tokens_in' | 'tokens_out' | 'cost_nano_usd' | 'wasted_nano_usd' | null
      limit?: number
    }
    reply: {
      data: (Record<string, string | number | null>)[]
      has_more: boolean
      complete_from: number | null
      as_of: number
      lag_ms: number
      pending: number
      is_exact: boolean
      answered_by: 'store' | 'clickhouse'
    }
  }
  'PUT /api/alerts/routing': {
    body: {
      route: unknown
      inhibit_rules?: {
        name?: string
        source_matchers?: string[]
        target_matchers?: string[]
        source_match?: Record<string, string>
        source_match_re?: Record<string, string>
        target_match?: Record<string, string>
        target_match_re?: Record<string, string>
        equal?: string[]
      }[]
      time_intervals?: {
        name: string
        time_intervals: {
          times?: {
            start_time: string
            end_time: string
          }[]
          weekdays?: string[]
          days_of_month?: string[]
          months?: string[]
          years?: string[]
          location?: string
        }[]
      }[]
    }
    reply: {
      source: 'file' | 'stored'
      updated_by: string
      updated_at: string | null
      route: unknown
      inhibit_rules: {
        name?: string
        source_matchers?: string[]
        target_matchers?: string[]
        source_match?: Record<string, string>
        source_match_re?: Record<string, string>
        target_match?: Record<string, string>
        target_match_re?: Record<string, string>
        equal?: string[]
      }[]
      time_intervals: {
        name: string
        time_intervals: {
          times?: {
            start_time: string
            end_time: string
          }[]
          weekdays?: string[]
          days_of_month?: string[]
          months?: string[]
          years?: string[]
          location?: string
        }[]
      }[]
    }
  }
  'PUT /api/on-call/policies/{severity}': {
    path: {
      severity: 'P0' | 'P1' | 'P2' | 'P3'
    }
    body: {
      steps: {
        after_minutes?: number
        on_call?: string[]
        channels?: string[]
      }[]
      repeats?: number
      repeat_minutes?: number
      unacknowledge_minutes?: number
    }
    reply: {
      severity: 'P0' | 'P1' | 'P2' | 'P3'
      is_default: boolean
      policy: {
        steps: {
          after_minutes: number
          on_call: string[]
          channels: string[]
        }[]
        repeats: number
        repeat_minutes: number
        unacknowledge_minutes: number
      }
    }
  }
  'PUT /api/on-call/schedules/{name}': {
    path: {
      name: string
    }
    body: {
      zone?: string
      members: {
        name: string
        channels: string[]
      }[]
      every?: 'day' | 'week'
      turns_of?: number
      handoff?: string
      starts_on: string
      overrides?: {
        from: string
        to: string
        member: {
          name: string
          channels: string[]
        }
      }[]
    }
    reply: {
      name: string
      schedule: {
        zone: string
        members: {
          name: string
          channels: string[]
        }[]
        every: 'day' | 'week'
        turns_of: number
        handoff: string
        starts_on: string
        overrides: {
          from: string
          to: string
          member: {
            name: string
            channels: string[]
          }
        }[]
      }
      now: {
        name: string
        channels: string[]
        from: string
        until: string
        is_override: boolean
      } | null
      next: {
        name: string
        channels: string[]
        from: string
        until: string
        is_override: boolean
      }[]
    }
  }
  'PUT /api/registry/services/{id}/instances/{instance}': {
    path: {
      id: string
      instance: string
    }
    body: {
      maintenance?: boolean
      weight?: number
    }
    reply: {
      id: string
      name: string
      tenant_id: string
      display_name: string
      description: string
      version: string
      host: string
      port: number
      base_path: string
      url: string
      is_active: boolean
      enabled: boolean
      health_check_url: string | null
      last_heartbeat: string | null
      service_metadata: Record<string, unknown>
      tags: string[]
      requires_auth: boolean
      is_shared: boolean
      declared_only: boolean
      routing: {
        balance: 'weighted_round_robin' | 'power_of_two' | 'consistent_hash'
        hash_by: string
        connect_timeout_ms: number
        answer_timeout_ms: number
        idle_timeout_ms: number
        retries: number
        canary: {
          tag: string
          percent: number
          header: string
          header_value: string
        } | null
      }
      deregister_after: number
      openapi: string | null
      endpoints: ({
        id: string
        service_id: string
        path: string
        method: string
        description: string | null
        required_roles: string[]
        is_public: boolean
        rate_limit: number | null
        created_at: string
      })[]
      instances: ({
        id: string
        instance_id: string
        host: string
        port: number
        weight: number
        version: string
        tags: string[]
        state: 'starting' | 'passing' | 'warning' | 'critical' | 'draining' | 'maintenance' | 'gone'
        state_since: string
        ephemeral: boolean
        registered_at: string
        last_heartbeat: string
      })[]
      warnings: string[]
      created_at: string
      updated_at: string
    }
  }
}
