/**
 * The status for people: one sentence on what is active, why and since when, then a table, then problems. Pure: the view
 * alone, its own clock included, decides every letter.
 */
import { formatDuration } from '../core/describe.js';
import type { FamilyView, FollowerView, PathView, StatusView, UplinkView } from '../core/messages.js';
import { type Family, type Health, type Reason, reasonText } from '../core/model.js';
import { type Align, type Colour, type Paint, table } from './paint.js';

/** Ends with a newline. */
export function statusText(view: StatusView, paint: Paint): string {
  const lines = [...headline(view, paint)];
  if (view.dryRun) lines.push(paint('yellow', 'This is a dry run: nothing is changed.'));
  if (view.uplinks.length > 0) lines.push('', ...uplinkTable(view, paint));
  if (view.services.length > 0) lines.push('', ...serviceTable(view, paint));
  const targets = targetLines(view, paint);
  if (targets.length > 0) lines.push('', ...targets);
  if (view.outbox.waiting > 0) lines.push('', waitingLine(view.outbox.waiting));
  // What a service failed at stands in its own line.
  const failed = view.services.map(({ name }) => `${name} does not follow `);
  const problems = view.problems.filter((problem) => !failed.some((start) => problem.startsWith(start)));
  if (problems.length > 0) lines.push('', ...problems.map((problem) => `${paint('red', '!')} ${problem}`));
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
  const colour = COLOURS[pathOf(view, family.active, family.family)?.health ?? 'unknown'];
  const since = formatDuration(view.wallMs - family.sinceWallMs);
  const next =
    family.next === null ? '' : ` Back to ${family.next.uplink} in ${formatDuration(family.next.inMs)} if it stays good.`;
  return `leaves by ${paint('bold', paint(colour, family.active))} since ${clockTime(family.sinceWallMs, view.wallMs)} (${since}): ${why(view, family)}.${next}`;
}

/** Reasons that speak of the uplink left behind, not of the one chosen. */
const REASONS_OF_THE_OTHER: ReadonlySet<Reason> = new Set([
  'carrier-lost',
  'interface-gone',
  'no-address',
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
]);

function why(view: StatusView, family: FamilyView): string {
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
const HEADER = ['', 'uplink', 'ip', 'health', 'why', 'gateway', 'device', 'loss', 'rtt', 'for', 'hold-down'];
const ALIGN: readonly Align[] = ['left', 'left', 'left', 'left', 'left', 'left', 'left', 'right', 'right', 'right', 'right'];

function uplinkTable(view: StatusView, paint: Paint): string[] {
  const rows = view.uplinks.flatMap((uplink) => uplink.paths.map((path) => uplinkRow(view, uplink, path, paint)));
  // A column nobody fills is not shown: quiet.
  const header = HEADER.map((title, column) => (rows.some((row) => row[column] !== '') ? title : null));
  const keep = (row: readonly string[]): string[] => row.filter((_, column) => header[column] !== null);
  return table(
    [keep(HEADER.map((title) => (title === '' ? '' : paint('dim', title)))), ...rows.map(keep)],
    ALIGN.filter((_, column) => header[column] !== null),
  );
}

function uplinkRow(view: StatusView, uplink: UplinkView, path: PathView, paint: Paint): string[] {
  const admin = uplink.admin === 'auto' ? '' : ` (${uplink.admin})`;
  const doubt = path.suspicion === 'none' ? '' : path.suspicion === 'suspect' ? ' ?' : ' !';
  return [
    path.active ? paint('green', '→') : ' ',
    uplink.name,
    String(path.family),
    paint(COLOURS[path.health], path.health + doubt) + admin,
    reasonText[path.reason],
    path.gateway ?? '-',
    path.interface ?? '-',
    path.loss === null ? '-' : formatShare(path.loss),
    path.rttMs === null ? '-' : formatRtt(path.rttMs),
    formatDuration(view.wallMs - path.sinceWallMs),
    path.holdDownLeftMs === null ? '' : `${formatDuration(path.holdDownLeftMs)} of ${formatDuration(path.holdDownMs)}`,
  ];
}

function serviceTable(view: StatusView, paint: Paint): string[] {
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

export function formatShare(share: number): string {
  const percent = share * 100;
  return `${percent === 0 || percent >= 10 ? Math.round(percent) : percent.toFixed(1)} %`;
}

export function formatRtt(ms: number): string {
  return `${ms < 100 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

/** `14:03:12`, with the day when it was another one. */
export function clockTime(wallMs: number, nowWallMs: number): string {
  const time = new Date(wallMs);
  const two = (value: number): string => String(value).padStart(2, '0');
  const clock = [time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join(':');
  if (time.toDateString() === new Date(nowWallMs).toDateString()) return clock;
  return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())} ${clock}`;
}
