import assert from 'node:assert/strict';
import { linkSync, lstatSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ApiBackend } from '../../../src/api/backend.js';
import { answers, openControlSocket, SocketInUse } from '../../../src/api/server.js';
import { askDaemon, followDaemon } from '../../../src/cli/client.js';
import type { HistoryEntry } from '../../../src/core/entry.js';
import { calmView, entry } from '../../support/status-views.js';

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'backroute-api-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

const followers = new Set<(entry: HistoryEntry) => void>();

const backend: ApiBackend = {
  view: calmView,
  health: () => ({ ok: true, version: '1', pid: 1, uptimeMs: 1, problems: [] }),
  eventsReady: () => Promise.resolve(),
  events: ({ limit }) => [entry(1), entry(2)].slice(0, limit),
  follow: (listener) => {
    followers.add(listener);
    return () => followers.delete(listener);
  },
  command: () => Promise.resolve({ ok: true, text: '', details: [] }),
  reload: () => Promise.resolve({ ok: true, text: '', details: [] }),
};

async function serve(t: TestContext, path: string, mode = 0o660): Promise<void> {
  const socket = await openControlSocket({ path, group: null, mode, backend });
  t.after(() => socket.close());
}

/** @throws when it does not come true within 5 s */
async function until(condition: () => boolean): Promise<void> {
  const endMs = performance.now() + 5_000;
  while (!condition()) {
    assert.ok(performance.now() < endMs, 'it did not come true in time');
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test('the socket has its mode from the first instant, whatever the umask', async (t) => {
  const dir = folder(t);
  for (const mode of [0o600, 0o660, 0o666]) {
    const path = join(dir, `${mode}.sock`);
    await serve(t, path, mode);
    assert.equal(statSync(path).mode & 0o777, mode);
  }
});

test('a group is looked up; one that does not exist is told before anything is served', async (t) => {
  const path = join(folder(t), 'control.sock');
  await assert.rejects(openControlSocket({ path, group: 'no-such-group', mode: 0o660, backend }), /no group 'no-such-group'/);
  assert.equal(await answers(path), false);
});

test('the client asks, and gets the view', async (t) => {
  const path = join(folder(t), 'control.sock');
  await serve(t, path);
  assert.deepEqual(await askDaemon(path, 'GET', '/status'), { status: 200, body: calmView() });
});

test('the socket of a dead daemon is replaced', async (t) => {
  const path = join(folder(t), 'control.sock');
  // A socket file that nobody listens on: what kill -9 leaves behind.
  const dead = createServer();
  await new Promise<void>((resolve) => dead.listen(path, resolve));
  linkSync(path, `${path}.kept`);
  await new Promise((resolve) => dead.close(resolve));
  linkSync(`${path}.kept`, path);
  assert.ok(lstatSync(path).isSocket());
  assert.equal(await answers(path), false);
  await serve(t, path);
  assert.equal((await askDaemon(path, 'GET', '/health')).status, 200);
});

test('a live socket is left alone', async (t) => {
  const path = join(folder(t), 'control.sock');
  await serve(t, path);
  await assert.rejects(serve(t, path), SocketInUse);
  assert.equal((await askDaemon(path, 'GET', '/health')).status, 200);
});

test('no daemon is exit code 4, a socket that may not be used 3', async (t) => {
  const dir = folder(t);
  await assert.rejects(askDaemon(join(dir, 'none.sock'), 'GET', '/status'), { exitCode: 4 });
  writeFileSync(join(dir, 'file.sock'), '');
  await assert.rejects(askDaemon(join(dir, 'file.sock'), 'GET', '/status'), { exitCode: 4 });
});

test('a follower gets the past and what happens; when the daemon ends it hears of it', async (t) => {
  const path = join(folder(t), 'control.sock');
  const socket = await openControlSocket({ path, group: null, mode: 0o600, backend });
  const seen: number[] = [];
  const followed = followDaemon(path, '/events/follow?limit=2', (line) => seen.push((JSON.parse(line) as HistoryEntry).wallMs));
  followed.catch(() => undefined);
  await until(() => seen.length === 2);
  for (const follower of followers) follower(entry(3));
  await until(() => seen.length === 3);
  assert.deepEqual(seen, [1, 2, 3]);
  await socket.close();
  await assert.rejects(followed);
  t.after(() => followers.clear());
});

test('clients that hang, flood or send rubbish slow nobody down', async (t) => {
  const path = join(folder(t), 'control.sock');
  await serve(t, path);
  await askDaemon(path, 'GET', '/status');
  const hanging: Socket[] = [];
  t.after(() => {
    for (const socket of hanging) socket.destroy();
  });
  const talk = (text: string): void => {
    const socket = connect(path);
    socket.on('error', () => undefined);
    socket.pause();
    socket.write(text);
    hanging.push(socket);
  };
  for (let count = 0; count < 8; count += 1) {
    talk('GET /events/follow HTTP/1.1\r\nhost: x\r\n\r\n'); // never reads
    talk('POST /command HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{'); // never ends its body
    talk('GET /status HTTP/1.1\r\n'); // never ends its head
    talk('\u0000\u0001\u0002 rubbish\r\n\r\n');
  }
  await until(() => followers.size === 8);
  // The daemon speaks far more than any buffer holds: the ones that do not read are let go.
  const large = { ...entry(9), text: 'x'.repeat(10_000) };
  const startedMs = performance.now();
  for (let count = 0; count < 1_000; count += 1) {
    for (const follower of [...followers]) follower(large);
  }
  const tookMs = performance.now() - startedMs;
  assert.equal(followers.size, 0, 'every one of them was cut off');
  assert.ok(tookMs < 2_000, `the speaker was held up for ${tookMs} ms`);
  assert.equal((await askDaemon(path, 'GET', '/status')).status, 200);
});
