import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { sendMail } from '../../../../src/action/telling/mail.js';
import { channelProblems, Telling } from '../../../../src/action/telling/telling.js';
import type { ChannelConfig } from '../../../../src/core/services.js';
import { realClock } from '../../../../src/daemon/clock.js';
import { mailChannel, notice } from '../outbox-bench.js';
import { httpServer, webhookConfig } from './http-bench.js';
import { attempt, header, mailConfig, mailServer, smtpError, smtpOptions } from './smtp-bench.js';

function telling(t: TestContext): Telling {
  const one = new Telling({ host: 'gw', version: '1', clock: realClock, random: Math.random });
  t.after(() => one.close());
  return one;
}

test('a test message is sent for real and the answer told', async (t) => {
  const smtp = await mailServer(t);
  const mail: ChannelConfig = { ...mailChannel('admin'), transport: mailConfig(smtp.port) };
  assert.deepEqual(await telling(t).sendTest(mail), { ok: true, text: `localhost:${smtp.port}: 250 queued as 4711` });
  assert.equal(header(smtp.received[0]?.raw ?? '', 'Subject'), '[gw] a test of admin');
  const refusing = await mailServer(t, {}, () => {
    throw smtpError(554, 'go away');
  });
  const refused = await telling(t).sendTest({ ...mail, transport: mailConfig(refusing.port) });
  assert.deepEqual(refused, { ok: false, text: `localhost:${refusing.port}: 554 go away` });
  const http = await httpServer(t, (_, response) => response.end('fine'));
  const hook = await telling(t).sendTest({ ...mail, transport: webhookConfig(http.base) });
  assert.equal(hook.ok, true);
  assert.match(hook.text, /200 OK fine$/);
  const transport = { kind: 'mqtt', url: 'mqtt://127.0.0.1:1', login: null, prefix: 'b', discovery: null } as const;
  const broker = await telling(t).sendTest({ ...mail, transport });
  assert.equal(broker.ok, false);
  assert.match(broker.text, /ECONNREFUSED/);
});

test('what only a transport knows to be wrong is found beforehand', async () => {
  const channel = mailChannel('admin');
  assert.deepEqual(await channelProblems(channel), []);
  const newline = { ...mailConfig(25), to: ['a@b.c\nBcc: d@e.f'] };
  assert.match((await channelProblems({ ...channel, transport: newline }))[0] ?? '', /not a mail address: "a@b\.c\\nBcc/);
  const hook = webhookConfig('http://x', { template: '{{subjekt}}' });
  assert.match((await channelProblems({ ...channel, transport: hook }))[0] ?? '', /template: unknown field \{\{subjekt\}\}/);
});

test('sendmail: arguments without a shell, its exit code is the verdict, and it cannot hang', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'backroute-sendmail-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const program = join(folder, 'sendmail');
  const script = (body: string): void => {
    writeFileSync(program, `#!/bin/sh\n${body}\n`);
    chmodSync(program, 0o755);
  };
  const config = {
    ...mailConfig(25),
    smtp: null,
    sendmail: program,
    to: ['admin@example.net', "o'$(touch pwned)`x`@example.net"],
  };
  script(`printf '%s\\n' "$@" > '${folder}/argv'; cat > '${folder}/mail'`);
  const limits = { ...smtpOptions.limits, wholeMs: 500 };
  const options = { ...smtpOptions, limits };
  const verdict = await sendMail({ ...config, to: ['admin@example.net'] }, notice('a'), attempt(), options);
  assert.deepEqual(verdict, { kind: 'delivered', text: `${program}: taken` });
  assert.deepEqual(readFileSync(join(folder, 'argv'), 'utf8').split('\n'), [
    '-i',
    '-f',
    'gw@example.net',
    '--',
    'admin@example.net',
    '',
  ]);
  const mail = readFileSync(join(folder, 'mail'), 'utf8');
  assert.ok(mail.includes('Message-ID: <a@gw.example.net>\n') && !mail.includes('\r'));
  assert.equal((await sendMail(config, notice('a'), attempt(), options)).kind, 'refused', 'an address with blanks is none');
  for (const [body, kind, words] of [
    ['echo no such user >&2; exit 67', 'refused', /exit 67 no such user/],
    ['echo queue full; exit 75', 'retry', /exit 75 queue full/],
    ['kill -9 $$', 'retry', /SIGKILL/],
    ['sleep 60 & sleep 60', 'retry', /no end after 0\.5 s/],
    ['exec 0<&-; exit 0', 'delivered', /taken/],
  ] as const) {
    script(body);
    const begun = performance.now();
    const one = await sendMail({ ...config, to: ['admin@example.net'] }, notice('a'), attempt(), options);
    assert.equal(one.kind, kind, `${body}: ${one.text}`);
    assert.match(one.text, words);
    assert.ok(performance.now() - begun < 3000);
  }
  const missing = await sendMail({ ...config, to: ['a@b.c'], sendmail: join(folder, 'none') }, notice('a'), attempt(), options);
  assert.equal(missing.kind, 'retry');
  assert.match(missing.text, /ENOENT/);
});
