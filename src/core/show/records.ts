/** How things that happened are put into records: the sentences and severities, and nothing else. */

import type { Target } from '../detect/target.js';
import type { Command, HistoryRecord, StallCause } from '../messages.js';
import { reasonText } from '../model.js';
import type { HealthChange, Path } from '../paths/path.js';
import type { EndedSilence } from '../paths/silences.js';
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
      ground: groundOf(path, to.health),
    },
  };
}

/** Why it was borne for so long, or why it stays away for so long; null where the file says how long. */
function groundOf(path: Path, health: HealthChange['to']['health']): string | null {
  if (health === 'down' && path.linkFault === null) return path.patienceGround();
  return health === 'up' && path.holdDownMs() > 0 ? path.holdGround() : null;
}

/** @param borne no traffic left it because of this */
export function silenceRecord(path: Path, silence: EndedSilence, borne: boolean, beganWallMs: number): HistoryRecord {
  const { cause, severity } = silence;
  const lengthMs = Math.round(silence.lengthMs);
  const silent = severity < 1 ? 'a slow time' : 'a silence';
  const what = cause === 'loss' ? 'a lossy time' : cause === 'carrier' ? 'a loss of carrier' : silent;
  const text = `${what} of ${formatDuration(lengthMs)}${borne ? ' was borne' : ' is over'}`;
  const data = { cause, severity: Number(severity.toFixed(2)), beganWallMs: Math.round(beganWallMs), lengthMs, borne };
  return recordOf('silence', 'info', text, path, data);
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

export function gatewayRecord(path: Path): HistoryRecord {
  const found = path.auto?.current ?? null;
  const where = path.interface ?? path.uplink.interface ?? '';
  const text =
    found === null
      ? `nobody names a gateway on ${where} any more`
      : found.address === null
        ? `${where} needs no gateway (${found.source})`
        : `the gateway on ${where} is ${found.address} (${found.source})`;
  return recordOf('gateway', 'info', text, path, { gateway: found?.address ?? null, source: found?.source ?? null });
}

export function adminRecord(command: Exclude<Command, { readonly verb: 'drill' }>): HistoryRecord {
  const { verb } = command;
  const uplink = command.verb === 'auto' ? null : command.uplink;
  const texts: Record<typeof verb, string> = {
    auto: 'back to automatic: nothing is forced or disabled',
    forget: `the administrator: everything learned of the silences of ${uplink ?? 'all uplinks'} is forgotten`,
    force: `the administrator: force ${uplink}`,
    disable: `the administrator: disable ${uplink}`,
    enable: `the administrator: enable ${uplink}`,
  };
  return { ...recordOf('admin', 'notice', texts[verb], null, { verb }), uplink };
}
