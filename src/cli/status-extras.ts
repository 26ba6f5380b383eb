/**
 * The parts of the status that only some have: shared, drained and metered uplinks, `via`, drills, strangers on the LAN. Each
 * gives no line where there is nothing to tell. Pure, like status-text.ts.
 */

import type { FamilyView, StatusView, UplinkView, UsageView } from '../core/messages.js';
import { formatBytes } from '../core/show/bytes.js';
import { formatDuration } from '../core/show/describe.js';
import { clockTime, dayOf, formatShare } from './figures.js';
import { type Paint, table } from './paint.js';

/** `fibre (3 of 4) and cable (1 of 4)`; null = nothing is shared. */
export function sharingText({ sharing }: FamilyView, show: (uplink: string) => string): string | null {
  if (sharing.length < 2) return null;
  const all = sharing.reduce((sum, { weight }) => sum + weight, 0);
  const parts = sharing.map(({ uplink, weight }) => `${show(uplink)} (${weight} of ${all})`);
  return `${parts.slice(0, -1).join(', ')} and ${parts.at(-1)}`;
}

/** `1`, or with a weight that is not the usual one `1, weight 3`; empty where it shares with nobody. */
export function tierCell({ tier, weight }: UplinkView): string {
  if (tier === null) return '';
  return weight === 1 ? String(tier) : `${tier}, weight ${weight}`;
}

/** `12 connections finish on backup, until 14:32:00.` */
export function drainingLines(view: StatusView): string[] {
  return view.uplinks.flatMap((uplink) =>
    uplink.paths.flatMap(({ family, draining }) => {
      if (draining === null) return [];
      const { open, untilWallMs } = draining;
      const what = open === null ? 'connections finish' : open === 1 ? '1 connection finishes' : `${open} connections finish`;
      const until = untilWallMs === null ? 'however long they take' : `until ${clockTime(untilWallMs, view.wallMs)}`;
      const both = uplink.paths.length > 1 ? ` (IPv${family})` : '';
      return [capital(`${what} on ${uplink.name}${both}, ${until}.`)];
    }),
  );
}

export function usageTable(view: StatusView, paint: Paint): string[] {
  const metered = view.uplinks.flatMap(({ name, usage }) => (usage === null ? [] : [{ name, usage }]));
  if (metered.length === 0) return [];
  const header = ['metered', 'used', 'forecast', 'of it probes', 'asked every', ''].map((title) => paint('dim', title));
  const rows = metered.map(({ name, usage }) => [
    name,
    usedCell(usage, paint),
    usage.forecastBytes === null ? '-' : `${formatBytes(usage.forecastBytes)} by ${dayOf(usage.monthEndsWallMs)}`,
    `${formatBytes(usage.probeBytes)} of ${formatBytes(usage.probeBudgetBytes)}`,
    formatDuration(usage.intervalMs),
    usage.closed ? paint('red', `closed until ${dayOf(usage.monthEndsWallMs)}`) : '',
  ]);
  return table([header, ...rows]);
}

function usedCell({ bytes, capBytes }: UsageView, paint: Paint): string {
  if (bytes === null) return capBytes === null ? 'not known' : `not known (cap ${formatBytes(capBytes)})`;
  if (capBytes === null) return formatBytes(bytes);
  const share = bytes / capBytes;
  const text = `${formatBytes(bytes)} of ${formatBytes(capBytes)} (${formatShare(share)})`;
  return share >= 0.95 ? paint('red', text) : share >= 0.75 ? paint('yellow', text) : text;
}

/** Only what does not go as the file wants it. */
export function viaLines(view: StatusView, paint: Paint): string[] {
  return view.via.flatMap(({ name, uplink, now }) => {
    if (now === 'uplink') return [];
    const instead = now === 'balance' ? 'it goes like everything else' : 'it is blocked';
    return [`${paint('yellow', '·')} via ${name}: ${uplink} does not work, so ${instead}`];
  });
}

/** What was learned and is in force: the patience with the uplink in use, and the way back to one that has recovered. */
export function learnedLines(view: StatusView): string[] {
  return view.uplinks.flatMap(({ name, paths }) =>
    paths.flatMap((path) => {
      const who = paths.length > 1 ? `${name} (IPv${path.family})` : name;
      const { learned, ground, leftMs } = path.patience;
      const borne = leftMs === null ? '' : `, ${formatDuration(leftMs)} left`;
      const patience = path.active && learned && ground !== null ? [`Patience with ${who}: ${ground}${borne}.`] : [];
      return path.holdDownGround === null ? patience : [...patience, `The way back to ${who}: ${path.holdDownGround}.`];
    }),
  );
}

export function drillLines({ drill, wallMs }: StatusView): string[] {
  if (drill === null) return [];
  if (drill.uplink !== null) {
    const until = drill.untilWallMs === null ? '' : `, until ${clockTime(drill.untilWallMs, wallMs)}`;
    return [`A drill runs: ${drill.uplink} is being tried${until}.`];
  }
  if (drill.nextWallMs === null && drill.lastWallMs === null) return [];
  const next = drill.nextWallMs === null ? 'No drill is planned' : `The next drill is due ${clockTime(drill.nextWallMs, wallMs)}`;
  const last = drill.lastWallMs === null ? 'there was none yet' : `the last was ${clockTime(drill.lastWallMs, wallMs)}`;
  return [`${next}; ${last}.`];
}

export function rogueLines(view: StatusView, paint: Paint): string[] {
  return view.rogues.map(({ interface: name, from, mac, lastWallMs }) => {
    const who = mac === null ? from : `${from} (${mac})`;
    const seen = clockTime(lastWallMs, view.wallMs);
    return `${paint('red', '!')} ${who} on ${name} offers itself to the network as a router, last seen ${seen}: who believes it goes around this machine`;
  });
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
