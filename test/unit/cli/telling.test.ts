/** `outbox`, `notify test` and what `check` says of services, as a user starts them: without any daemon. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { OutboxStore, serialize } from '../../../src/action/outbox-store.js';
import type { Notice } from '../../../src/core/action.js';

const MAIN = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url));
const UPLINKS = 'uplinks:\n  fast:\n    gateway: 192.168.1.253\n  backup:\n    gateway: 192.168.1.1\n';

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'backroute-cli-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

async function backroute(dir: string, ...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const places = ['--config', join(dir, 'backroute.yaml'), '--state-dir', join(dir, 'state'), '--run-dir', dir];
  const child = spawn(process.execPath, [MAIN, ...places, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const said = { out: '', err: '' };
  for (const [name, stream] of [
    ['out', child.stdout],
    ['err', child.stderr],
  ] as const) {
    stream.on('data', (data) => {
      said[name] += String(data);
    });
  }
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { code, ...said };
}

function notice(subject: string): Notice {
  const nothing = { uplink: null, family: null, from: null, to: null, reason: null, outageMs: null };
  const times = { wallMs: 1_772_000_000_000, sinceWallMs: 1_772_000_000_000 };
  const rest = { text: [], active: [], figures: [], folded: 1 };
  return { id: 'a', thread: 'a', topic: 'health', severity: 'warning', subject, ...nothing, ...times, ...rest };
}

test('the outbox is listed without a daemon, and nothing in it is touched', async (t) => {
  const dir = folder(t);
  const empty = await backroute(dir, 'outbox');
  assert.deepEqual(empty, { code: 0, out: 'No message waits, and none was refused.\n', err: '' });

  const store = new OutboxStore(join(dir, 'state/outbox'));
  const message = { version: 1, channel: 'admin', queuedWallMs: 1_772_000_000_000, served: [] } as const;
  for (const [sequence, subject] of [
    [1, 'fast is down'],
    [2, 'fast is up'],
  ] as const) {
    await store.write(sequence, serialize({ ...message, notice: notice(subject) }));
  }
  const refused = {
    ...message,
    notice: notice('fast is down'),
    refused: { wallMs: 1_772_000_000_000, text: '550 no such user' },
  };
  await store.refuse(1, refused);
  writeFileSync(join(dir, 'state/outbox/000000000003.json'), '{');
  const before = readdirSync(join(dir, 'state/outbox'));

  const { code, out, err } = await backroute(dir, 'outbox');
  assert.equal(code, 0);
  assert.match(out, /^when +channel +subject +state +answer\n\S+ \S+ +admin +fast is up +waiting +-\n/);
  assert.match(out, /\n\S+ \S+ +admin +fast is down +refused +550 no such user\n$/);
  assert.match(err, /000000000003\.json: not a message/);
  const json = JSON.parse((await backroute(dir, 'outbox', '--json')).out);
  assert.deepEqual(
    json.messages.map((one: { sequence: number; state: string }) => [one.sequence, one.state]),
    [
      [2, 'waiting'],
      [1, 'refused'],
    ],
  );
  assert.equal(json.problems.length, 1);
  assert.deepEqual(readdirSync(join(dir, 'state/outbox')), before);
});

test('notify test sends for real, tells each answer, and is 1 when one failed', async (t) => {
  const dir = folder(t);
  const server = createServer((request, response) => {
    response.statusCode = request.url === '/bad' ? 403 : 200;
    response.end(`heard ${request.headers.authorization ?? 'nobody'}`);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  writeFileSync(join(dir, 'token'), 'TheSecretToken\n', { mode: 0o600 });
  const url = (path: string): string => `"http://127.0.0.1:${port}/${path}"`;
  const good = `  good:\n    webhook: {recipe: json, url: ${url('ok')}, token-file: ${join(dir, 'token')}}\n`;
  // A broker that nobody runs.
  const others = `  bad:\n    webhook: {recipe: json, url: ${url('bad')}}\n  house:\n    mqtt: {url: "mqtt://127.0.0.1:9"}\n`;
  writeFileSync(join(dir, 'backroute.yaml'), `${UPLINKS}notify:\n${good}${others}`);

  const one = await backroute(dir, 'notify', 'test', 'good');
  assert.equal(one.code, 0, one.err);
  assert.match(one.out, /^good {2}delivered {2}.* 200 OK heard Bearer \*\*\*\n$/);
  const all = await backroute(dir, 'notify', 'test');
  assert.equal(all.code, 1);
  assert.match(all.out, /^good +delivered .*\nbad +failed .*403 Forbidden.*\nhouse +failed .*ECONNREFUSED.*\n$/);
  assert.ok(!`${all.out}${all.err}`.includes('TheSecretToken'));
  const unknown = await backroute(dir, 'notify', 'test', 'god');
  assert.equal(unknown.code, 1);
  assert.match(unknown.err, /no channel 'god' \(there are: good, bad, house\)/);
  assert.ok(!readdirSync(dir).includes('state'), 'past the outbox');

  writeFileSync(join(dir, 'backroute.yaml'), UPLINKS);
  const nobody = await backroute(dir, 'notify', 'test');
  assert.equal(nobody.code, 1);
  assert.match(nobody.err, /names nobody to tell/);
});

test('check tells what would fail on the day it is needed, with its line, and changes nothing', async (t) => {
  const dir = folder(t);
  const path = (name: string): string => join(dir, name);
  writeFileSync(path('open'), 'secret\n');
  chmodSync(path('open'), 0o644);
  mkdirSync(path('hooks'));
  writeFileSync(path('hooks/plain'), '');
  chmodSync(path('hooks/plain'), 0o644);
  const hook = (rest: string): string => `webhook: {recipe: json, url: "http://192.0.2.1/", ${rest}}`;
  const lines = [
    ...UPLINKS.trimEnd().split('\n'),
    'notify:',
    `  a: {${hook(`token-file: ${path('open')}`)}}`,
    `  b: {${hook(`token-file: ${path('none')}`)}}`,
    `  c: {${hook("template: '{{subjekt}}'")}}`,
    'follow:',
    '  exim:',
    `    copies: {fast: [{from: ${path('missing')}, to: ${path('nowhere/x')}}]}`,
    '    check: [no-such-program]',
    `hooks: {directory: ${path('hooks')}}`,
  ];
  writeFileSync(path('backroute.yaml'), `${lines.join('\n')}\n`);
  const before = readdirSync(dir);
  const { code, out } = await backroute(dir, 'check', '--json');
  assert.equal(code, 2);
  const { problems } = JSON.parse(out) as { problems: { severity: string; line: number; path: string; message: string }[] };
  const said = (where: string): [string, number, string][] =>
    problems.filter((one) => one.path === where).map((one) => [one.severity, one.line, one.message]);
  assert.deepEqual(said('notify.a'), [
    ['warning', 7, `${path('open')} can be read by everybody on this machine: chmod o-rwx ${path('open')}`],
  ]);
  assert.deepEqual(said('notify.b'), [['error', 8, `${path('none')} cannot be read (ENOENT): the secret is wanted there`]]);
  assert.match(said('notify.c')[0]?.[2] ?? '', /unknown field \{\{subjekt\}\}/);
  const worst = process.geteuid?.() === 0 ? 'error' : 'warning';
  assert.deepEqual(
    said('follow.exim').map(([severity, line]) => [severity, line]),
    [
      [worst, 11],
      [worst, 11],
      [worst, 11],
    ],
  );
  assert.deepEqual(said('hooks'), [['warning', 14, `${path('hooks/plain')}: not run: it is not executable (chmod +x)`]]);
  assert.deepEqual(readdirSync(dir), before);
});
