/**
 * What a template may name: every fact of a notice under a short name, as text and, where it is one, as a figure or list.
 * Knows no format that it is written in.
 */
import type { Notice } from '../../core/action.js';
import { reasonText } from '../../core/model.js';
import { formatDuration } from '../../core/show/describe.js';
import { activeText, bodyText, oneLine, subjectLine } from './plain-words.js';

export type FieldValue = string | number | null | readonly Readonly<Record<string, string | number | null>>[];

/** Chat services bound a message: Discord to 2,000 characters, ntfy to 4,096 bytes. */
const MAX_MESSAGE_CHARACTERS = 1800;
const MAX_MESSAGE_BYTES = 3600;

const PRIORITY = { info: 2, notice: 3, warning: 4, error: 5 } as const;
/** Names of emojis that ntfy knows; plain words elsewhere. */
const TAG = { info: 'information_source', notice: 'white_check_mark', warning: 'warning', error: 'rotating_light' } as const;

/** In the order in which docs and messages list them. `null` where the notice says nothing of it. */
const FIELDS = {
  id: (notice) => notice.id,
  thread: (notice) => notice.thread,
  host: (_, host) => oneLine(host),
  title: (notice, host) => subjectLine(notice, host),
  subject: (notice) => oneLine(notice.subject),
  text: (notice) => notice.text.join('\n\n'),
  message: (notice, host) => shortMessage(notice, host),
  'message-escaped': (notice, host) => shortMessage(notice, host, escaped),
  body: (notice, host) => bodyText(notice, host),
  topic: (notice) => notice.topic,
  severity: (notice) => notice.severity,
  priority: (notice) => PRIORITY[notice.severity] ?? PRIORITY.notice,
  tag: (notice) => TAG[notice.severity] ?? TAG.notice,
  uplink: (notice) => notice.uplink,
  family: (notice) => notice.family,
  from: (notice) => notice.from,
  to: (notice) => notice.to,
  reason: (notice) => notice.reason,
  'reason-text': (notice) => (notice.reason === null ? null : (reasonText[notice.reason] ?? null)),
  time: (notice) => isoTime(notice.wallMs),
  since: (notice) => isoTime(notice.sinceWallMs),
  outage: (notice) => (notice.outageMs === null ? null : formatDuration(notice.outageMs)),
  'outage-seconds': (notice) => (notice.outageMs === null ? null : notice.outageMs / 1000),
  'active-text': (notice) => activeText(notice),
  active: (notice) => notice.active.map(({ family, uplink }) => ({ family, uplink })),
  figures: (notice) =>
    notice.figures.map(({ uplink, family, health, loss, rttMs }) => ({ uplink, family, health, loss, 'rtt-ms': rttMs })),
  folded: (notice) => notice.folded,
} as const satisfies Record<string, (notice: Notice, host: string) => FieldValue>;

export const FIELD_NAMES: readonly string[] = Object.keys(FIELDS);

/** undefined = no such field */
export function fieldValue(name: string, notice: Notice, host: string): FieldValue | undefined {
  if (!Object.hasOwn(FIELDS, name)) return undefined;
  return FIELDS[name as keyof typeof FIELDS](notice, host);
}

/** As it stands inside a sentence. */
export function fieldText(value: FieldValue): string {
  if (value === null) return '';
  if (typeof value === 'string') return value;
  return typeof value === 'number' ? String(value) : JSON.stringify(value);
}

/** A clock that was never set may give what no date can hold. */
function isoTime(wallMs: number): string {
  const date = new Date(wallMs);
  return Number.isNaN(date.getTime()) ? '' : date.toISOString();
}

function shortMessage(notice: Notice, host: string, change: (text: string) => string = (text) => text): string {
  const active = activeText(notice);
  const parts = [subjectLine(notice, host), ...notice.text, ...(active === null ? [] : [`Active now: ${active}`])];
  // Cut after the change, and never inside a character.
  const characters: string[] = [];
  let bytes = 0;
  let count = 0;
  for (const character of parts.join('\n')) {
    const piece = change(character);
    bytes += Buffer.byteLength(piece);
    count += piece.length;
    if (count > MAX_MESSAGE_CHARACTERS || bytes > MAX_MESSAGE_BYTES) return `${characters.join('')}…`;
    characters.push(piece);
  }
  return characters.join('');
}

/** The three characters that Slack and HTML want as entities. */
function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
