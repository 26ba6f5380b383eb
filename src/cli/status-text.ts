/**
 * The status for people: one sentence on what is active, why and since when, then a table, then problems. Pure: the view
 * alone, its own clock included, decides every letter.
 */

import type { FamilyView, FollowerView, PathView, StatusView, UplinkView } from '../core/messages.js';
import { type Family, type Health, type Reason, reasonText } from '../core/model.js';
import { formatDuration } from '../core/show/describe.js';
import { clockTime, formatRtt, formatShare } from './figures.js';
import { type Align, type Colour, type Paint, table } from './paint.js';
import {
  drainingLines,
  drillLines,
  learnedLines,
  rogueLines,
  sharingText,
  tierCell,
  usageTable,
  viaLines,
} from './status-extras.js';

/** Ends with a newline. */
export function statusText(view: StatusView, paint: Paint): string {
  const lines = [...headline(view, paint)];
  if (view.dryRun) lines.push(paint('yellow', 'This is a dry run: nothing is changed.'));
  if (view.uplinks.length > 0) lines.push('', ...uplinkTable(view, paint));
  const draining = drainingLines(view);
  const remarks = [...targetLines(view, paint), ...viaLines(view, paint)];
  const notes = [
    ...learnedLines(view),
    ...drillLines(view),
    ...(view.outbox.waiting > 0 ? [waitingLine(view.outbox.waiting)] : []),
  ];
  // What a service failed at, and who a stranger is, stands in its own line.
  const said = (problem: string): boolean =>
    view.services.some(({ name }) => problem.startsWith(`${name} does not follow `)) ||
    view.rogues.some(({ from }) => problem.includes(from));
  const problems = view.problems.filter((problem) => !said(problem)).map((problem) => `${paint('red', '!')} ${problem}`);
  for (const block of [draining, usageTable(view, paint), serviceTable(view, paint), remarks, notes]) {
    if (block.length > 0) lines.push('', ...block);
  }
  const alarms = [...rogueLines(view, paint), ...problems];
  if (alarms.length > 0) lines.push('', ...alarms);
  return `${lines.join('\n')}\n`;
}

/** Families that do the same are told in one sentence. */
function headline(view: StatusView, paint: Paint): string[] {
  if (view.families.length === 0) return ['No uplink is watched.'];
  const sentences = new Map<string, Family[]>();
  for (const family of view.families) {
    const sentence = familySentence(view, family, paint);
    sentences.set(sentence, [...(sentences.get(sentence) ?? []), family.family]);
  }
  return [...sentences].map(([sentence, families]) => {
    const who = families.map((family) => `IPv${family}`).join(' and ');
    return `${who} ${sentence.replace('leaves', families.length > 1 ? 'leave' : 'leaves')}`;
  });
}

function familySentence(view: StatusView, family: FamilyView, paint: Paint): string {
  if (family.active === null) return `leaves as the kernel had it: ${reasonText[family.reason]}.`;
  const show = (uplink: string): string =>
    paint('bold', paint(COLOURS[pathOf(view, uplink, family.family)?.health ?? 'unknown'], uplink));
  const by = sharingText(family, show) ?? show(family.active);
  const since = formatDuration(view.wallMs - family.sinceWallMs);
  const next =
    family.next === null ? '' : ` Back to ${family.next.uplink} in ${formatDuration(family.next.inMs)} if it stays good.`;
  return `leaves by ${by} since ${clockTime(family.sinceWallMs, view.wallMs)} (${since}): ${why(view, family)}.${next}`;
}

/** Reasons that speak of the uplink left behind, not of the one chosen. */
const REASONS_OF_THE_OTHER: ReadonlySet<Reason> = new Set([
  'carrier-lost',
  'interface-gone',
  'no-address',
  'no-gateway',
  'gateway-unresolved',
  'gateway-silent',
  'upstream-silent',
  'silent',
  'no-route',
  'unreachable',
  'portal',
  'loss-high',
  'latency-high',
  'jitter-high',
  'disabled',
  'cap-reached',
]);

function why(view: StatusView, family: FamilyView): string {
  if (family.reason === 'answers' && family.sharing.length > 1) return 'their targets answer';
  if (!REASONS_OF_THE_OTHER.has(family.reason)) return reasonText[family.reason];
  const pathIn = (uplink: UplinkView): PathView | undefined => uplink.paths.find((path) => path.family === family.family);
  const others = view.uplinks.filter((uplink) => uplink.name !== family.active && pathIn(uplink) !== undefined);
  const culprit = others.find((uplink) => pathIn(uplink)?.reason === family.reason);
  if (culprit !== undefined) return `on ${culprit.name}, ${reasonText[family.reason]}`;
  // It has recovered meanwhile: the sentence in the present tense would be a lie.
  const left = family.next?.uplink ?? others[0]?.name;
  return left === undefined ? reasonText[family.reason] : `${left} had failed (${family.reason})`;
}

const COLOURS: Readonly<Record<Health, Colour>> = { up: 'green', degraded: 'yellow', down: 'red', unknown: 'dim' };
const COLUMNS: readonly (readonly [title: string, align: Align])[] = [
  ['', 'left'],
  ['uplink', 'left'],
  ['tier', 'left'],
  ['ip', 'left'],
  ['health', 'left'],
  ['why', 'left'],
  ['gateway', 'left'],
  ['named by', 'left'],
  ['device', 'left'],
  ['prefix', 'left'],
  ['loss', 'right'],
  ['rtt', 'right'],
  ['for', 'right'],
  ['hold-down', 'right'],
];

function uplinkTable(view: StatusView, paint: Paint): string[] {
  const rows = view.uplinks.flatMap((uplink) => uplink.paths.map((path) => uplinkRow(view, uplink, path, paint)));
  // A column nobody fills is not shown: quiet.
  const shown = COLUMNS.map((_, column) => rows.some((row) => row[column] !== ''));
  const keep = <T>(cells: readonly T[]): T[] => cells.filter((_, column) => shown[column]);
  const header = COLUMNS.map(([title]) => (title === '' ? '' : paint('dim', title)));
  return table([header, ...rows].map(keep), keep(COLUMNS.map(([, align]) => align)));
}

function uplinkRow(view: StatusView, uplink: UplinkView, path: PathView, paint: Paint): string[] {
  const admin = uplink.admin === 'auto' ? '' : ` (${uplink.admin})`;
  const family = view.families.find((one) => one.family === path.family);
  const carries = path.active || family?.sharing.some((one) => one.uplink === uplink.name) === true;
  const doubt = path.suspicion === 'none' ? '' : path.suspicion === 'suspect' ? ' ?' : ' !';
  return [
    carries ? paint('green', '→') : ' ',
    uplink.name,
    tierCell(uplink),
    String(path.family),
    paint(COLOURS[path.health], path.health + doubt) + admin,
    reasonText[path.reason],
    path.gateway ?? '-',
    path.gatewaySource ?? '',
    path.interface ?? '-',
    path.family === 6 ? (uplink.prefix ?? '') : '',
    path.loss === null ? '-' : formatShare(path.loss),
    path.rttMs === null ? '-' : formatRtt(path.rttMs),
    formatDuration(view.wallMs - path.sinceWallMs),
    path.holdDownLeftMs === null ? '' : `${formatDuration(path.holdDownLeftMs)} of ${formatDuration(path.holdDownMs)}`,
  ];
}

function serviceTable(view: StatusView, paint: Paint): string[] {
  if (view.services.length === 0) return [];
  const header = ['service', 'follows', 'state', ''].map((title) => paint('dim', title));
  return table([
    header,
    ...view.services.map((service) => [service.name, service.desired ?? '-', ...serviceState(service, paint)]),
  ]);
}

function serviceState(service: FollowerView, paint: Paint): [state: string, text: string] {
  if (service.desired === null) return [paint('dim', 'left alone'), 'nothing is configured for the uplink in use'];
  if (service.running) return [paint('yellow', 'being changed'), ''];
  if (service.failures > 0) {
    const { retryInMs } = service;
    const again = retryInMs === null ? '' : retryInMs < 1_000 ? ', again at once' : `, again in ${formatDuration(retryInMs)}`;
    const often = service.failures === 1 ? '' : ` ${service.failures} times`;
    return [paint('red', `failed${often}${again}`), service.text ?? ''];
  }
  return service.verified ? [paint('green', 'verified'), service.text ?? ''] : [paint('yellow', 'about to be changed'), ''];
}

function waitingLine(count: number): string {
  return count === 1 ? '1 message waits in the outbox.' : `${count} messages wait in the outbox.`;
}

/** Only where a target says something else than its uplink. */
function targetLines(view: StatusView, paint: Paint): string[] {
  return view.uplinks.flatMap((uplink) =>
    uplink.paths.flatMap((path) =>
      path.targets
        .filter(
          (target) => target.note !== null || (target.alive === false && (path.health === 'up' || path.health === 'degraded')),
        )
        .map((target) => {
          const said = [target.alive === false ? `no answer (${target.lastFailure ?? 'timeout'})` : null, target.note].filter(
            (part) => part !== null,
          );
          return `${paint('yellow', '·')} ${uplink.name}, target ${target.label}: ${said.join('; ')}`;
        }),
    ),
  );
}

function pathOf(view: StatusView, uplink: string, family: Family): PathView | undefined {
  return view.uplinks.find((candidate) => candidate.name === uplink)?.paths.find((path) => path.family === family);
}
