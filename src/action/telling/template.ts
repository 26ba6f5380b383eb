/**
 * Templates with `{{field}}` in them, filled so that no value can break out of its place: inside a JSON string it is escaped, in
 * JSON outside of one it becomes a value, in a URL it is percent-encoded, in a header it stays one line of ASCII (RFC 2047).
 */
import type { Notice } from '../../core/action.js';
import { FIELD_NAMES, type FieldValue, fieldText, fieldValue } from './fields.js';
import { oneLine } from './plain-words.js';

const PLACEHOLDER = /\{\{\s*([^{}]*?)\s*\}\}/g;

/** @throws where a field is unknown; `templateProblems` has told so before */
export function renderBody(template: string, contentType: string, notice: Notice, host: string): string {
  const kind = kindOf(contentType);
  return render(template, notice, host, (value, before) => {
    if (kind === 'json') return insideString(before) ? JSON.stringify(fieldText(value)).slice(1, -1) : JSON.stringify(value);
    if (kind === 'form') return encodeURIComponent(fieldText(value));
    if (kind === 'xml') return xmlText(fieldText(value));
    return fieldText(value);
  });
}

export function renderUrl(url: string, notice: Notice, host: string): string {
  return render(url, notice, host, (value) => encodeURIComponent(fieldText(value)));
}

export function renderHeader(text: string, notice: Notice, host: string): string {
  const line = oneLine(render(text, notice, host, fieldText));
  // Printable ASCII goes as it is; anything else as encoded words, each of 75 characters at most (RFC 2047 2).
  if (/^[\x20-\x7e]*$/.test(line)) return line;
  const words: string[] = [];
  let word = '';
  for (const character of line) {
    if (Buffer.byteLength(word + character) > 45) {
      words.push(word);
      word = '';
    }
    word += character;
  }
  return [...words, word].map((one) => `=?UTF-8?B?${Buffer.from(one).toString('base64')}?=`).join(' ');
}

/** Everything wrong with a template for a body of this type; empty = it can be used. For `check`, before anything happens. */
export function templateProblems(template: string, contentType: string): string[] {
  const problems = placeholderProblems(template);
  if (problems.length > 0 || kindOf(contentType) !== 'json') return problems;
  for (const sample of SAMPLES) {
    try {
      JSON.parse(renderBody(template, contentType, sample, 'host'));
    } catch (error) {
      return [`filled in, it is not JSON: ${error instanceof Error ? error.message : String(error)}`];
    }
  }
  return [];
}

/** As far as a URL or a header's value can be wrong. */
export function placeholderProblems(text: string): string[] {
  const problems: string[] = [];
  for (const [, name = ''] of text.matchAll(PLACEHOLDER)) {
    if (!FIELD_NAMES.includes(name)) problems.push(`unknown field {{${name}}}; there are: ${FIELD_NAMES.join(', ')}`);
  }
  // JSON of its own ends in `}}` as well, but never begins with `{{`.
  if (text.replace(PLACEHOLDER, '').includes('{{')) problems.push('a {{ is not closed by }}');
  return [...new Set(problems)];
}

function render(template: string, notice: Notice, host: string, write: (value: FieldValue, before: string) => string): string {
  return template.replace(PLACEHOLDER, (_, name: string, offset: number) => {
    const value = fieldValue(name, notice, host);
    if (value === undefined) throw new Error(`unknown field {{${name}}}`);
    return write(value, template.slice(0, offset));
  });
}

/** An odd number of quotation marks stands before, those behind a backslash aside. */
function insideString(before: string): boolean {
  const marks = before.replace(PLACEHOLDER, '').replace(/\\./gs, '').match(/"/g);
  return (marks?.length ?? 0) % 2 === 1;
}

function kindOf(contentType: string): 'json' | 'form' | 'xml' | 'text' {
  const type = contentType.split(';')[0]?.trim().toLowerCase() ?? '';
  if (type === 'application/json' || type.endsWith('+json')) return 'json';
  if (type === 'application/x-www-form-urlencoded') return 'form';
  return type.endsWith('/xml') || type.endsWith('+xml') || type === 'text/html' ? 'xml' : 'text';
}

function xmlText(text: string): string {
  const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character);
}

/** One notice with everything and one with nothing: a template must hold with both. */
const FULL: Notice = {
  id: 'id',
  thread: 'thread',
  wallMs: 0,
  topic: 'switch',
  severity: 'warning',
  uplink: 'fast',
  family: 4,
  from: 'fast',
  to: 'backup',
  reason: 'upstream-silent',
  sinceWallMs: 0,
  outageMs: 1000,
  subject: 'a "quoted" subject\\',
  text: ['one', 'two'],
  active: [{ family: 4, uplink: 'backup' }],
  figures: [{ uplink: 'fast', family: 4, health: 'down', loss: 1, rttMs: null }],
  folded: 2,
};

const BARE = {
  uplink: null,
  family: null,
  from: null,
  to: null,
  reason: null,
  outageMs: null,
  text: [],
  active: [],
  figures: [],
};

const SAMPLES: readonly Notice[] = [FULL, { ...FULL, ...BARE }];
