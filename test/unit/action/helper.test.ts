/**
 * The root helper over a real unix socket: it does what the configuration holds and refuses everything else; and what its client makes
 * of a helper that is away, dies or lies.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { HelperClient } from '../../../src/action/helper/client.js';
import { type Facts, LineReader, MAX_LINE_BYTES, parseAnswer, parseRequest } from '../../../src/action/helper/protocol.js';
import { type Helper, serveHelper } from '../../../src/action/helper/server.js';
import type { FollowAsk, FollowOutcome, Notice } from '../../../src/core/action.js';
import { type FilesConfig, noServices, type ServicesConfig } from '../../../src/core/services.js';
import { until } from '../../../src/lab/until.js';

const needsRoot = process.getuid?.() === 0 ? false : 'needs root';
const GID = 64_173;

const EXIM: FilesConfig = {
  kind: 'files',
  name: 'exim',
  copies: { fast: [{ from: '/a', to: '/c' }] },
  check: null,
  reload: null,
  timeoutMs: 5_000,
};

const FACTS: Facts = { works: ['fast'], interfaces: { fast: 'eth0' } };

const NOTICE: Notice = {
  id: 'a',
  thread: 'a',
  wallMs: 1,
  topic: 'switch',
  severity: 'warning',
  uplink: 'fast',
  family: 4,
  from: null,
  to: 'fast',
  reason: null,
  sinceWallMs: 1,
  outageMs: null,
  subject: 's',
  text: [],
  active: [],
  figures: [],
  folded: 1,
};

class Stage {
  readonly dir = mkdtempSync(join(tmpdir(), 'backroute-helper-'));
  readonly path = join(this.dir, 'run/helper.sock');
  readonly asks: { readonly ask: FollowAsk; readonly facts: Facts }[] = [];
  readonly cancelled: number[] = [];
  readonly hooked: Notice[] = [];
  services: ServicesConfig | Error = { ...noServices, followers: [EXIM] };
  helper: Helper | null = null;
  readonly #context: TestContext;

  constructor(t: TestContext) {
    this.#context = t;
    t.after(() => rmSync(this.dir, { recursive: true, force: true }));
  }

  async serve(gid: number | null = null): Promise<Helper> {
    this.helper = await serveHelper({
      path: this.path,
      gid,
      load: async () => {
        if (this.services instanceof Error) throw this.services;
        return this.services;
      },
      follow: (ask, facts) => this.asks.push({ ask, facts }),
      cancel: (run) => this.cancelled.push(run),
      hooks: (_services, notice) => this.hooked.push(notice),
    });
    const { helper } = this;
    this.#context.after(() => helper.close());
    return helper;
  }

  async call(): Promise<Caller> {
    const caller = new Caller(this.path);
    this.#context.after(() => caller.socket.destroy());
    assert.ok(await until(() => caller.open, 5_000, 5));
    return caller;
  }

  client(): Client {
    const client = new Client(this.path);
    this.#context.after(() => client.client.close());
    return client;
  }
}

/** Says whatever it likes. */
class Caller {
  readonly socket: Socket;
  readonly lines: string[] = [];
  open = false;
  closed = false;

  constructor(path: string) {
    this.socket = connect(path);
    const reader = new LineReader();
    this.socket.setEncoding('utf8');
    this.socket.on('connect', () => {
      this.open = true;
    });
    this.socket.on('data', (chunk: string) => this.lines.push(...reader.push(chunk)));
    this.socket.on('error', () => undefined);
    this.socket.on('close', () => {
      this.closed = true;
    });
  }

  say(value: unknown): void {
    this.socket.write(typeof value === 'string' ? value : `${JSON.stringify(value)}\n`);
  }

  async hears(count: number): Promise<FollowOutcome[]> {
    assert.ok(await until(() => this.lines.length >= count, 5_000, 5), `heard ${this.lines.length} lines, not ${count}`);
    return this.lines.flatMap((line) => {
      const answer = parseAnswer(line);
      return answer?.type === 'finished' ? [answer.outcome] : [];
    });
  }
}

class Client {
  readonly outcomes: FollowOutcome[] = [];
  readonly log: string[] = [];
  readonly client: HelperClient;

  constructor(path: string) {
    this.client = new HelperClient({
      path,
      facts: () => FACTS,
      onOutcome: (outcome) => this.outcomes.push(outcome),
      onLog: (severity, text) => this.log.push(`${severity}: ${text}`),
    });
  }
}

const follow = (change: object = {}): object => ({
  type: 'follow',
  run: 7,
  follower: 'exim',
  uplink: 'fast',
  facts: FACTS,
  ...change,
});
const DONE = { ok: true, changed: true, rolledBack: null, superseded: false, text: 'done' } as const;

test('a request is looked up in the configuration of this moment, carried out and answered under its own number', async (t) => {
  const stage = new Stage(t);
  const helper = await stage.serve();
  const caller = await stage.call();
  caller.say(follow());
  assert.ok(await until(() => stage.asks.length === 1, 5_000, 5));
  const [asked] = stage.asks;
  assert.ok(asked !== undefined);
  assert.deepEqual([asked.ask.follower, asked.ask.uplink, asked.facts], [EXIM, 'fast', FACTS]);
  helper.finished({ run: asked.ask.run, ...DONE });
  assert.deepEqual(await caller.hears(1), [{ run: 7, ...DONE }]);

  const changed = { ...EXIM, reload: ['true'] };
  stage.services = { ...noServices, followers: [changed] };
  caller.say(follow({ run: 8 }));
  assert.ok(await until(() => stage.asks.length === 2, 5_000, 5));
  assert.deepEqual(stage.asks[1]?.ask.follower, changed);

  caller.say({ type: 'cancel', run: 8 });
  caller.say({ type: 'hooks', notice: NOTICE });
  assert.ok(await until(() => stage.hooked.length === 1, 5_000, 5));
  assert.deepEqual(stage.cancelled, [stage.asks[1]?.ask.run]);
  assert.deepEqual(stage.hooked, [NOTICE]);
});

test('what the configuration does not hold is refused in words, and nothing is run', async (t) => {
  const stage = new Stage(t);
  await stage.serve();
  const caller = await stage.call();
  caller.say(follow({ follower: 'sshd' }));
  caller.say(follow({ follower: 'constructor' }));
  // Nothing is configured for this uplink; nothing of the daemon's own would be put in its place.
  caller.say(follow({ uplink: 'nowhere' }));
  caller.say(follow({ uplink: '__proto__' }));
  const outcomes = await caller.hears(4);
  assert.ok(outcomes.every(({ ok, run }) => !ok && run === 7));
  assert.deepEqual(
    outcomes.map(({ text }) => text),
    [
      'the configuration holds no sshd',
      'the configuration holds no constructor',
      'the configuration holds nothing of nowhere for exim',
      'the configuration holds nothing of __proto__ for exim',
    ],
  );
  stage.services = new Error('backroute.yaml:3: wrong');
  caller.say(follow());
  assert.match((await caller.hears(5))[4]?.text ?? '', /the configuration does not validate: backroute\.yaml:3: wrong/);
  caller.say({ type: 'hooks', notice: NOTICE });
  await caller.hears(6);
  assert.match(caller.lines[5] ?? '', /"type":"log","severity":"error"/);
  assert.deepEqual([stage.asks, stage.hooked], [[], []]);
});

test('nobody cancels the run of another connection, nor hears of it', async (t) => {
  const stage = new Stage(t);
  const helper = await stage.serve();
  const [mine, other] = [await stage.call(), await stage.call()];
  mine.say(follow());
  assert.ok(await until(() => stage.asks.length === 1, 5_000, 5));
  other.say({ type: 'cancel', run: 7 });
  other.say(follow({ follower: 'none' }));
  await other.hears(1);
  assert.deepEqual(stage.cancelled, []);
  helper.finished({ run: stage.asks[0]?.ask.run ?? 0, ...DONE });
  await mine.hears(1);
  assert.equal(other.lines.length, 1);
});

const NONSENSE: Readonly<Record<string, unknown>> = {
  'no JSON': '{"type": \n',
  'no object': '[]\n',
  'an unknown type': { type: 'run', argv: ['rm'] },
  'a run that is no number': follow({ run: '7' }),
  'a follower that is no word': follow({ follower: EXIM }),
  'no facts': follow({ facts: null }),
  'an interface that is an option': follow({ facts: { works: [], interfaces: { fast: '--help' } } }),
  'an interface with blanks': follow({ facts: { works: [], interfaces: { fast: 'eth0 up' } } }),
  'works that are no words': follow({ facts: { works: [{}], interfaces: {} } }),
  'a notice of other types': { type: 'hooks', notice: { ...NOTICE, family: 'four' } },
  'a notice without lists': { type: 'hooks', notice: { ...NOTICE, active: 'all' } },
  'a notice with entries that are none': { type: 'hooks', notice: { ...NOTICE, active: [null] } },
  'a notice whose time is none': { type: 'hooks', notice: { ...NOTICE, wallMs: 1e300 } },
  'a line without end': 'x'.repeat(MAX_LINE_BYTES + 1),
  'a line that is too long': `${JSON.stringify(follow({ uplink: 'x'.repeat(MAX_LINE_BYTES) }))}\n`,
};

test('whoever talks nonsense is cut off, and the others are served on', async (t) => {
  const stage = new Stage(t);
  await stage.serve();
  for (const [what, words] of Object.entries(NONSENSE)) {
    const caller = await stage.call();
    caller.say(words);
    assert.ok(await until(() => caller.closed, 5_000, 5), what);
  }
  assert.deepEqual([stage.asks, stage.hooked], [[], []]);
  const good = await stage.call();
  good.say(follow({ follower: 'none' }));
  await good.hears(1);
});

test('requests and answers survive their own serialization, and only these', () => {
  assert.deepEqual(parseRequest(JSON.stringify(follow())), follow());
  assert.deepEqual(parseRequest(JSON.stringify({ type: 'hooks', notice: NOTICE })), { type: 'hooks', notice: NOTICE });
  for (const line of [
    '',
    'x',
    '{}',
    '{"type":"finished"}',
    '{"type":"finished","outcome":{"run":1}}',
    '{"type":"log","severity":"x","text":"y"}',
  ])
    assert.equal(parseAnswer(line), null, line);
});

test('the socket: root and the group may connect, from its first instant, and nobody else', { skip: needsRoot }, async (t) => {
  const stage = new Stage(t);
  chmodSync(stage.dir, 0o755);
  const before = process.umask();
  await stage.serve(GID);
  assert.equal(process.umask(), before);
  const { mode, uid, gid } = statSync(stage.path);
  assert.deepEqual([mode & 0o777, uid, gid], [0o660, 0, GID]);
  const script = `require('net').connect(${JSON.stringify(stage.path)})
    .on('connect', () => { console.log('connected'); process.exit() })
    .on('error', (error) => { console.log(error.code); process.exit() })`;
  const as = async (uid: number, gid: number): Promise<string> => {
    const child = spawn(process.execPath, ['-e', script], { uid, gid, stdio: ['ignore', 'pipe', 'inherit'] });
    let said = '';
    child.stdout.on('data', (data) => {
      said += String(data);
    });
    await new Promise((resolve) => child.on('close', resolve));
    return said.trim();
  };
  assert.equal(await as(65_534, GID), 'connected');
  assert.equal(await as(65_534, 65_534), 'EACCES');
  await stage.helper?.close();
  assert.throws(() => statSync(stage.path));

  const closed = new Stage(t);
  chmodSync(closed.dir, 0o755);
  await closed.serve(null);
  assert.equal(statSync(closed.path).mode & 0o777, 0o600);
});

test('the client: a helper that dies in the middle fails the run, and the next ask reaches its successor', async (t) => {
  const stage = new Stage(t);
  const first = await stage.serve();
  const { client, outcomes } = stage.client();
  client.follow({ run: 1, follower: EXIM, uplink: 'fast' });
  assert.ok(await until(() => stage.asks.length === 1, 5_000, 5));
  assert.equal(client.idle, false);
  await first.close();
  assert.ok(await until(() => outcomes.length === 1, 5_000, 5));
  assert.deepEqual([outcomes[0]?.run, outcomes[0]?.ok, outcomes[0]?.superseded], [1, false, false]);
  assert.match(outcomes[0]?.text ?? '', /the helper ended in the middle: see systemctl status backroute-helper/);

  const second = await stage.serve();
  client.follow({ run: 2, follower: EXIM, uplink: 'fast' });
  assert.ok(await until(() => stage.asks.length === 2, 5_000, 5));
  second.finished({ run: stage.asks[1]?.ask.run ?? 0, ...DONE });
  assert.ok(await until(() => outcomes.length === 2, 5_000, 5));
  assert.deepEqual(outcomes[1], { run: 2, ...DONE });
  assert.equal(client.idle, true);
});

test('the client: a helper that is away is told once, and what was asked reaches it when it comes', async (t) => {
  const stage = new Stage(t);
  const { client, log } = stage.client();
  client.follow({ run: 1, follower: EXIM, uplink: 'fast' });
  client.hooks(NOTICE);
  assert.ok(await until(() => log.length === 1, 5_000, 5));
  await stage.serve();
  assert.ok(await until(() => stage.asks.length === 1 && stage.hooked.length === 1, 5_000, 5));
  assert.equal(log.length, 1);
  assert.match(log[0] ?? '', /^warning: the helper at .* cannot be reached \(ENOENT\): start backroute-helper$/);
});

test('the client: a run that is cancelled while the helper is away is not begun', async (t) => {
  const stage = new Stage(t);
  const { client, outcomes, log } = stage.client();
  client.follow({ run: 1, follower: EXIM, uplink: 'fast' });
  assert.ok(await until(() => log.length === 1, 5_000, 5));
  client.cancel(1);
  assert.ok(await until(() => outcomes.length === 1, 5_000, 5));
  assert.deepEqual([outcomes[0]?.run, outcomes[0]?.ok, outcomes[0]?.superseded], [1, false, true]);
  client.follow({ run: 2, follower: EXIM, uplink: 'fast' });
  await stage.serve();
  assert.ok(await until(() => stage.asks.length === 1, 5_000, 5));
  assert.equal(client.idle, false);
});

test('the client: nonsense of a helper ends the connection and fails the run', async (t) => {
  const stage = new Stage(t);
  const path = join(stage.dir, 'liar.sock');
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', () => socket.write('x'.repeat(2 * MAX_LINE_BYTES)));
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.after(() => server.close());
  const outcomes: FollowOutcome[] = [];
  const client = new HelperClient({ path, facts: () => FACTS, onOutcome: (one) => outcomes.push(one), onLog: () => undefined });
  t.after(() => client.close());
  client.follow({ run: 1, follower: EXIM, uplink: 'fast' });
  assert.ok(await until(() => outcomes.length === 1, 5_000, 5));
  assert.equal(outcomes[0]?.ok, false);
});
