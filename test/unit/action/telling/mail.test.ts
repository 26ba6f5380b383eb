import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { sendMail } from '../../../../src/action/telling/mail.js';
import { addressOf, composeMail, messageId } from '../../../../src/action/telling/mail-message.js';
import type { SmtpLimits } from '../../../../src/action/telling/smtp.js';
import type { SecretRef } from '../../../../src/core/services.js';
import { notice } from '../outbox-bench.js';
import { attempt, bodyOf, header, mailConfig, mailServer, obliging, rawServer, smtpError, smtpOptions } from './smtp-bench.js';

const PASSWORD = 'gold fish+/%';
const quick: SmtpLimits = { connectMs: 300, greetingMs: 300, silenceMs: 300, wholeMs: 600 };

function passwordFile(t: TestContext, text = `${PASSWORD}\n`): SecretRef {
  const folder = mkdtempSync(join(tmpdir(), 'backroute-secret-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'password'), text, { mode: 0o600 });
  return { kind: 'file', path: join(folder, 'password') };
}

const recovery = notice('n2', {
  thread: 'n1',
  subject: 'fast is up again after 3 min 12 s: it is active',
  outageMs: 192_000,
  text: ['The uplink fast works again.', 'All new connections take it from now on. '.repeat(6)],
  active: [
    { family: 4, uplink: 'fast' },
    { family: 6, uplink: null },
  ],
  figures: [
    { uplink: 'fast', family: 4, health: 'up', loss: 0.004, rttMs: 21.37 },
    { uplink: 'backup', family: 4, health: 'down', loss: 1, rttMs: null },
  ],
});

test('the mail says in plain words what happened, and is part of the conversation', async (t) => {
  const server = await mailServer(t);
  const verdict = await sendMail(mailConfig(server.port), recovery, attempt(), smtpOptions);
  assert.deepEqual(verdict, { kind: 'delivered', text: `localhost:${server.port}: 250 queued as 4711` });
  const [mail] = server.received;
  assert.ok(mail);
  assert.equal(mail.from, 'gw@example.net');
  assert.deepEqual(mail.to, ['admin@example.net']);
  assert.equal(header(mail.raw, 'Subject'), '[gw.example.net] fast is up again after 3 min 12 s: it is active');
  assert.equal(header(mail.raw, 'Message-ID'), '<n2@gw.example.net>');
  assert.equal(header(mail.raw, 'In-Reply-To'), '<n1@gw.example.net>');
  assert.equal(header(mail.raw, 'References'), '<n1@gw.example.net>');
  assert.equal(new Date(header(mail.raw, 'Date') ?? '').getTime(), recovery.wallMs);
  assert.equal(header(mail.raw, 'Auto-Submitted'), 'auto-generated');
  const body = bodyOf(mail.raw);
  assert.match(body, /The uplink fast works again\./);
  assert.match(body, /Active now: +fast \(IPv4\), none \(IPv6\)/);
  assert.match(body, /Reason: +upstream-silent: the gateway answers, but nothing beyond it does/);
  assert.match(body, /Outage: +3 min 12 s/);
  assert.match(body, /fast +IPv4 +up +0\.4 % +21\.4 ms/);
  assert.match(body, /backup +IPv4 +down +100 % +-/);
  assert.ok(
    body.split('\r\n').every((line) => line.length <= 78),
    'lines of at most 78 characters',
  );
});

test('the first message of an outage answers nothing', async () => {
  const { raw } = await composeMail(mailConfig(25), notice('n1'), 'gw', []);
  assert.equal(header(raw.toString(), 'In-Reply-To'), null);
  assert.equal(header(raw.toString(), 'Message-ID'), '<n1@gw>');
});

test('no field starts a header or a recipient of its own', async (t) => {
  const evil = 'x\r\nBcc: victim@example.net\r\n\r\nnew body';
  const bad = notice(evil, {
    thread: evil,
    subject: evil,
    uplink: evil,
    text: [evil],
    active: [{ family: 4, uplink: evil }],
    figures: [{ uplink: evil, family: 4, health: 'up', loss: null, rttMs: null }],
  });
  const server = await mailServer(t);
  await sendMail(mailConfig(server.port), { ...bad, id: `2${evil}` }, attempt(), { ...smtpOptions, host: `gw${evil}` });
  const [mail] = server.received;
  assert.ok(mail);
  assert.deepEqual(mail.to, ['admin@example.net']);
  assert.equal(header(mail.raw, 'Bcc'), null);
  for (const from of ['a@b\r\nBcc: c@d', 'a@b> c', 'a b@c', '', '-oQ/tmp@x']) {
    const config = { ...mailConfig(server.port), from };
    assert.equal((await sendMail(config, recovery, attempt(), smtpOptions)).kind, 'refused', JSON.stringify(from));
    const to = { ...mailConfig(server.port), to: ['admin@example.net', from] };
    assert.equal((await sendMail(to, recovery, attempt(), smtpOptions)).kind, 'refused', JSON.stringify(from));
  }
  assert.equal(server.received.length, 1);
  assert.equal(addressOf('Some One <a@b.c>'), 'a@b.c');
  assert.equal(messageId('a b/<c>', 'h\n'), '<a-b/-c-@h->');
});

test('TLS from the first byte and STARTTLS, with a certificate that is checked', async (t) => {
  const tls = await mailServer(t, { secure: true });
  const starttls = await mailServer(t);
  for (const [server, mode] of [
    [tls, 'tls'],
    [starttls, 'starttls'],
    [starttls, 'opportunistic'],
  ] as const) {
    const verdict = await sendMail(mailConfig(server.port, { tls: mode }), recovery, attempt(), smtpOptions);
    assert.equal(verdict.kind, 'delivered', `${mode}: ${verdict.text}`);
    assert.equal(server.received.at(-1)?.secure, true, mode);
    const strange = await sendMail(mailConfig(server.port, { tls: mode }), recovery, attempt(), { ...smtpOptions, ca: [] });
    // Opportunistic: encrypted to whoever is there.
    assert.equal(strange.kind, mode === 'opportunistic' ? 'delivered' : 'retry', `${mode}: ${strange.text}`);
    if (mode !== 'opportunistic') assert.match(strange.text, /certificate/);
  }
  await sendMail(mailConfig(starttls.port, { tls: 'none' }), recovery, attempt(), smtpOptions);
  assert.equal(starttls.received.at(-1)?.secure, false);
});

test('STARTTLS that is demanded and not offered: neither login nor mail is sent', async (t) => {
  const server = await rawServer(t, (line) => (line === 'STARTTLS' ? '502 what?' : obliging(line)));
  const login = { user: 'gw', password: passwordFile(t) };
  const verdict = await sendMail(mailConfig(server.port, { tls: 'starttls', login }), recovery, attempt(), smtpOptions);
  assert.equal(verdict.kind, 'retry');
  assert.deepEqual(
    server.lines.filter((line) => /AUTH|MAIL|RCPT|DATA/.test(line)),
    [],
  );
  const refusing = await rawServer(t, (line) => {
    if (line.startsWith('EHLO')) return '250-raw\r\n250 STARTTLS';
    return line === 'STARTTLS' ? '454 not now' : obliging(line);
  });
  const second = await sendMail(mailConfig(refusing.port, { tls: 'starttls', login }), recovery, attempt(), smtpOptions);
  assert.equal(second.kind, 'retry');
  assert.ok(!refusing.lines.some((line) => /AUTH|MAIL/.test(line)));
});

test('login: the secret is read at use, and a wrong one is told apart and never shown', async (t) => {
  const server = await mailServer(t, {
    authOptional: false,
    onAuth: (auth, _session, callback) => {
      if (auth.username === 'gw' && auth.password === PASSWORD) callback(null, { user: 'gw' });
      // A server that repeats what it was given, as no server should.
      else callback(smtpError(535, `no ${auth.password} here ${Buffer.from(auth.password ?? '').toString('base64')}`));
    },
  });
  const login = { user: 'gw', password: passwordFile(t) };
  const good = await sendMail(mailConfig(server.port, { tls: 'starttls', login }), recovery, attempt(), smtpOptions);
  assert.equal(good.kind, 'delivered', good.text);
  assert.equal(server.received[0]?.user, 'gw');
  const wrong = { user: 'gw', password: passwordFile(t, 'sesame-4711') };
  const bad = await sendMail(mailConfig(server.port, { tls: 'starttls', login: wrong }), recovery, attempt(), smtpOptions);
  assert.equal(bad.kind, 'credentials');
  assert.match(bad.text, /535 no \*\*\* here \*\*\*/);
  assert.ok(!bad.text.includes('sesame'));
  const none = await sendMail(mailConfig(server.port, { tls: 'starttls' }), recovery, attempt(), smtpOptions);
  assert.equal(none.kind, 'credentials', none.text);
});

test('a secret that is missing, empty or of two lines is told without a connection', async (t) => {
  const server = await rawServer(t, obliging);
  const secrets: SecretRef[] = [
    { kind: 'file', path: '/nonexistent/secret' },
    { kind: 'environment', name: 'BACKROUTE_TEST_UNSET' },
    passwordFile(t, '\n'),
    passwordFile(t, 'one\ntwo\n'),
  ];
  for (const password of secrets) {
    const login = { user: 'gw', password };
    const verdict = await sendMail(mailConfig(server.port, { login }), recovery, attempt(), smtpOptions);
    assert.equal(verdict.kind, 'credentials', verdict.text);
    assert.ok(!verdict.text.includes('two'));
  }
  assert.equal(server.connections(), 0);
});

test('4xx is tried again, 5xx about the mail is refused, trouble before the mail is no verdict on it', async (t) => {
  const answers: [string, string, string][] = [
    ['(connected)', '421 too busy', 'retry'],
    ['(connected)', '554 not you', 'retry'],
    ['EHLO', '421 later', 'retry'],
    ['MAIL', '451 later', 'retry'],
    ['MAIL', '550 never', 'refused'],
    ['MAIL', '530 log in first', 'credentials'],
    ['RCPT', '450 greylisted', 'retry'],
    ['RCPT', '550 no such user', 'refused'],
    ['DATA', '451 disk full', 'retry'],
    ['DATA', '554 no', 'refused'],
    ['.', '452 disk full', 'retry'],
    ['.', '554 spam', 'refused'],
    ['.', '503 what?', 'retry'],
  ];
  for (const [at, reply, kind] of answers) {
    const server = await rawServer(t, (line) => (line.startsWith(at) && (at !== '.' || line === '.') ? reply : obliging(line)));
    const verdict = await sendMail(mailConfig(server.port), recovery, attempt(), smtpOptions);
    assert.equal(verdict.kind, kind, `${at} ${reply}: ${verdict.text}`);
    assert.ok(verdict.text.includes(reply), verdict.text);
  }
});

test('of several recipients, those who have it do not get it again', async (t) => {
  let greylisted = true;
  const server = await mailServer(t, {
    onRcptTo: ({ address }, _session, callback) =>
      address.startsWith('slow') && greylisted ? callback(smtpError(450, 'greylisted')) : callback(),
  });
  const config = { ...mailConfig(server.port), to: ['admin@example.net', 'slow@example.net'] };
  const first = await sendMail(config, recovery, attempt(), smtpOptions);
  assert.equal(first.kind, 'retry');
  assert.ok(first.kind === 'retry' && first.served);
  assert.deepEqual(first.served, ['admin@example.net']);
  greylisted = false;
  const second = await sendMail(config, recovery, attempt({ served: first.served }), smtpOptions);
  assert.equal(second.kind, 'delivered');
  assert.deepEqual(
    server.received.map(({ to }) => to),
    [['admin@example.net'], ['slow@example.net']],
  );
});

test('a server that hangs at any step is left within the limits', async (t) => {
  for (const at of ['(connected)', 'EHLO', 'MAIL', 'DATA', '.']) {
    const server = await rawServer(t, (line) => (line.startsWith(at) ? null : obliging(line)));
    const begun = performance.now();
    const verdict = await sendMail(mailConfig(server.port), recovery, attempt(), { ...smtpOptions, limits: quick });
    assert.equal(verdict.kind, 'retry', at);
    assert.ok(performance.now() - begun < 3000, `${at} took too long`);
  }
  // One that says a little for ever is ended by the limit of the whole.
  const dripping = await rawServer(t, (line) => (line.startsWith('EHLO') ? null : obliging(line)));
  const timer = setInterval(() => undefined, 1000);
  t.after(() => clearInterval(timer));
  const verdict = await sendMail(mailConfig(dripping.port), recovery, attempt(), {
    ...smtpOptions,
    limits: { ...quick, silenceMs: 60_000, greetingMs: 60_000 },
  });
  assert.match(verdict.text, /no end after 0\.6 s/);
});

test('a refused connection and a name that does not resolve are tried again', async (t) => {
  const server = await rawServer(t, obliging);
  const closed = await sendMail(mailConfig(1), recovery, attempt(), smtpOptions);
  assert.equal(closed.kind, 'retry');
  const nowhere = await sendMail(mailConfig(server.port, { host: 'no-such-host.invalid' }), recovery, attempt(), smtpOptions);
  assert.equal(nowhere.kind, 'retry');
  assert.match(nowhere.text, /no-such-host\.invalid/);
});

test('hurried before the mail is on its way it gives up; after that it waits for the answer', async (t) => {
  const hurry = new AbortController();
  const before = await rawServer(t, (line) => {
    if (line.startsWith('EHLO')) hurry.abort();
    return line.startsWith('EHLO') ? null : obliging(line);
  });
  const verdict = await sendMail(mailConfig(before.port), recovery, attempt({ hurry: hurry.signal }), smtpOptions);
  assert.deepEqual([verdict.kind, /the way out has changed/.test(verdict.text)], ['retry', true]);
  const late = new AbortController();
  const after = await rawServer(t, (line) => {
    if (line === '.') late.abort();
    return obliging(line);
  });
  const delivered = await sendMail(mailConfig(after.port), recovery, attempt({ hurry: late.signal }), smtpOptions);
  assert.equal(delivered.kind, 'delivered');
});
