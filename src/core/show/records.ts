/** How things that happened are put into records: the sentences and severities, and nothing else. */

import type { Target } from '../detect/target.js';
import type { HistoryRecord, StallCause } from '../messages.js';
import { reasonText } from '../model.js';
import type { HealthChange, Path } from '../paths/path.js';
import { formatDuration } from './describe.js';

export function recordOf(
  kind: HistoryRecord['kind'],
  severity: HistoryRecord['severity'],
  text: string,
  path: Path | null = null,
  data: HistoryRecord['data'] = {},
): HistoryRecord {
  return {
    kind,
    severity,
    uplink: path?.uplink.name ?? null,
    family: path?.family ?? null,
    from: null,
    to: null,
    reason: null,
    durationMs: null,
    text,
    data,
  };
}

export function healthRecord(path: Path, change: HealthChange, forced: boolean, nowMs: number): HistoryRecord {
  const { from, to, durationMs } = change;
  const same = from.health === to.health;
  const silentSinceMs = path.detector.silentSinceMs;
  return {
    ...recordOf('health', 'info', `${path.uplink.name} is ${same ? 'still ' : ''}${to.health}: ${reasonText[to.reason]}`, path),
    severity: same || from.health === 'unknown' ? 'info' : severityOf(to.health, forced),
    from: from.health,
    to: to.health,
    reason: to.reason,
    durationMs,
    data: {
      silentMs: to.health === 'down' && silentSinceMs !== null ? Math.round(nowMs - silentSinceMs) : null,
      holdDownMs: to.health === 'up' ? path.holdDownMs() : null,
    },
  };
}

function severityOf(health: HealthChange['to']['health'], forced: boolean): HistoryRecord['severity'] {
  if (health === 'down') return forced ? 'error' : 'warning';
  return health === 'degraded' ? 'warning' : 'notice';
}

export function targetRecord(path: Path, target: Target, dead: boolean): HistoryRecord {
  const text = dead ? `target ${target.spec.label} does not answer, others do` : `target ${target.spec.label} answers again`;
  return recordOf('target', dead ? 'warning' : 'info', text, path, { target: target.spec.label });
}

export function stallRecord(cause: StallCause, spanMs: number): HistoryRecord {
  const what: Record<StallCause, string> = {
    'process-stalled': `this process did not run for ${formatDuration(spanMs)}: its samples are void`,
    suspended: `the machine was suspended for ${formatDuration(spanMs)}: samples are void`,
    'clock-stepped': 'the clock was set: nothing here depends on it',
  };
  return recordOf('stall', 'notice', what[cause], null, { cause, spanMs: Math.round(spanMs) });
}
