import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { sendWebhook } from '../../../../src/action/telling/webhook.js';
import type { SecretRef } from '../../../../src/core/services.js';
import { notice } from '../outbox-bench.js';
import { httpServer, webhookConfig, webhookOptions } from './http-bench.js';
import { attempt } from './smtp-bench.js';

function secretFile(t: TestContext, text: string): SecretRef {
  const folder = mkdtempSync(join(tmpdir(), 'backroute-secret-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'secret'), `${text}\n`, { mode: 0o600 });
  return { kind: 'file', path: join(folder, 'secret') };
}

test('every status has its verdict, with the words of the server', async (t) => {
  let status = 200;
  const headers: Record<string, string> = { 'Retry-After': '7', Location: 'http://elsewhere.example/login' };
  const server = await httpServer(t, (_, response) => response.writeHead(status, headers).end(`words of ${status}`));
  const expected: [number, string][] = [
    [200, 'delivered'],
    [204, 'delivered'],
    [302, 'retry'],
    [400, 'refused'],
    [401, 'credentials'],
    [403, 'credentials'],
    [404, 'refused'],
    [408, 'retry'],
    [410, 'refused'],
    [425, 'retry'],
    [429, 'retry'],
    [500, 'retry'],
    [503, 'retry'],
  ];
  for (const [code, kind] of expected) {
    status = code;
    const verdict = await sendWebhook(webhookConfig(server.base), notice('a'), attempt(), webhookOptions);
    assert.equal(verdict.kind, kind, verdict.text);
    assert.ok(verdict.text.includes(String(code)));
    if (code !== 204) assert.ok(verdict.text.includes(`words of ${code}`), verdict.text);
    if (code === 429) assert.equal(verdict.kind === 'retry' && verdict.afterMs, 7000);
  }
});

test('secrets reach the server and nobody else', async (t) => {
  const server = await httpServer(t, ({ path, headers }, response) => {
    // A server that repeats everything, as no server should.
    response.writeHead(500).end(`no: ${path} ${headers.authorization} ${headers['x-key']}`);
  });
  const config = webhookConfig(secretFile(t, `${server.base}/hook/very-secret-path?key=very-secret-key`), {
    token: secretFile(t, 'very-secret-token'),
    headers: { 'X-Key': secretFile(t, 'very secret header') },
  });
  const verdict = await sendWebhook(config, notice('a'), attempt(), webhookOptions);
  assert.equal(server.asked[0]?.headers.authorization, 'Bearer very-secret-token');
  assert.equal(server.asked[0]?.headers['x-key'], 'very secret header');
  assert.equal(server.asked[0]?.path, '/hook/very-secret-path?key=very-secret-key');
  assert.equal(verdict.kind, 'retry');
  assert.ok(!/very.secret/.test(verdict.text), verdict.text);
  const missing = webhookConfig({ kind: 'file', path: '/nonexistent/url' });
  assert.equal((await sendWebhook(missing, notice('a'), attempt(), webhookOptions)).kind, 'credentials');
  for (const url of ['no url at all: very-secret', 'file:///very-secret']) {
    const bad = await sendWebhook(webhookConfig(secretFile(t, url)), notice('a'), attempt(), webhookOptions);
    assert.equal(bad.kind, 'refused');
    assert.ok(!bad.text.includes('secret'), bad.text);
  }
});

test('a server that hangs, drips, breaks off or answers without end is left within the limits', async (t) => {
  const sockets = new Set<Socket>();
  let behave: (socket: Socket) => void = () => undefined;
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('data', () => behave(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const endless = `HTTP/1.1 200 OK\r\n\r\n${'x'.repeat(100_000)}`;
  const cases: [string, (socket: Socket) => void, string][] = [
    ['silent', () => undefined, 'retry'],
    ['half a header', (socket) => void socket.write('HTTP/1.1 20'), 'retry'],
    ['cut before the answer', (socket) => void socket.destroy(), 'retry'],
    ['nonsense', (socket) => void socket.end('hello\r\n\r\n'), 'retry'],
    ['answer cut in its text', (socket) => void socket.end('HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nok'), 'delivered'],
    ['answer without end', (socket) => void socket.write(endless), 'delivered'],
  ];
  for (const [name, act, kind] of cases) {
    behave = act;
    const limits = { connectMs: 500, wholeMs: 500 };
    const begun = performance.now();
    const verdict = await sendWebhook(webhookConfig(url), notice('a'), attempt(), { ...webhookOptions, limits });
    assert.equal(verdict.kind, kind, `${name}: ${verdict.text}`);
    assert.ok(verdict.text.length < 400, name);
    assert.ok(performance.now() - begun < 2000, name);
  }
  const stop = new AbortController();
  behave = () => stop.abort();
  const cut = await sendWebhook(webhookConfig(url), notice('a'), attempt({ stop: stop.signal }), webhookOptions);
  assert.match(cut.text, /cut off/);
  const hurry = new AbortController();
  hurry.abort();
  const hurried = await sendWebhook(webhookConfig(url), notice('a'), attempt({ hurry: hurry.signal }), webhookOptions);
  assert.equal(hurried.kind, 'retry');
});

test('a redirect is not followed with the secret', async (t) => {
  const other = await httpServer(t, (_, response) => response.end('ok'));
  const server = await httpServer(t, (_, response) => response.writeHead(307, { Location: `${other.base}/x` }).end());
  const verdict = await sendWebhook(webhookConfig(server.base), notice('a'), attempt(), webhookOptions);
  assert.equal(verdict.kind, 'retry');
  assert.equal(other.asked.length, 0);
});

test('own method, template, type and headers; no value breaks out of them', async (t) => {
  const server = await httpServer(t, (_, response) => response.end('ok'));
  const evil = 'fast"}\r\nX-Evil: 1 \\ {{id}} ü';
  const config = webhookConfig(`${server.base}/{{uplink}}/x`, {
    method: 'PUT',
    template: '{"a": "[{{uplink}}]", "b": {{uplink}}, "c": {{outage-seconds}}}',
    headers: { 'X-Uplink': 'is {{uplink}}' },
  });
  const verdict = await sendWebhook(config, notice('a', { uplink: evil }), attempt(), webhookOptions);
  assert.equal(verdict.kind, 'delivered', verdict.text);
  const [asked] = server.asked;
  assert.ok(asked);
  assert.equal(asked.method, 'PUT');
  assert.equal(asked.path, `/${encodeURIComponent(evil)}/x`);
  assert.deepEqual(JSON.parse(asked.body), { a: `[${evil}]`, b: evil, c: null });
  assert.equal(asked.headers['x-evil'], undefined);
  assert.match(String(asked.headers['x-uplink']), /^=\?UTF-8\?B\?/);
});
