/**
 * `backroute helper` as it is started, and the daemon's user as its client: services follow though that user may write nothing; a
 * helper that is killed in the middle leaves nothing halfway once it is asked again. Needs root.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { HelperClient } from '../../src/action/helper/client.js';
import type { FollowOutcome } from '../../src/core/action.js';
import type { FilesConfig } from '../../src/core/services.js';
import { until } from '../../src/lab/until.js';

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const skip = process.getuid?.() === 0 ? false : 'needs root';
const NOBODY = 65_534;
const GID = 64_173;

class Stage {
  readonly dir = mkdtempSync(join(tmpdir(), 'backroute-helper-lab-'));
  readonly outcomes: FollowOutcome[] = [];
  readonly client = new HelperClient({
    path: this.path('run/helper.sock'),
    facts: () => ({ works: ['fast'], interfaces: {} }),
    onOutcome: (outcome) => this.outcomes.push(outcome),
    onLog: () => undefined,
  });
  said = '';
  #child: ChildProcess | null = null;

  constructor(t: TestContext) {
    chmodSync(this.dir, 0o755);
    for (const uplink of ['fast', 'backup']) writeFileSync(this.path(uplink), `smarthost of ${uplink}\n`);
    const follow = { exim: { copies: this.#copies(), check: ['test', '!', '-e', this.path('wait')] } };
    this.configure({ follow });
    t.after(async () => {
      await this.client.close();
      await this.end('SIGTERM');
      rmSync(this.dir, { recursive: true, force: true });
    });
  }

  path(name: string): string {
    return join(this.dir, name);
  }

  target(): string {
    return existsSync(this.path('target')) ? readFileSync(this.path('target'), 'utf8') : '';
  }

  configure(top: object): void {
    const uplinks = { fast: { gateway: '192.168.1.253' }, backup: { gateway: '192.168.1.1' } };
    writeFileSync(this.path('backroute.yaml'), JSON.stringify({ uplinks, ...top }));
  }

  follower(change: Partial<FilesConfig> = {}): FilesConfig {
    return { kind: 'files', name: 'exim', copies: {}, check: null, reload: null, timeoutMs: 5_000, ...change };
  }

  #copies(): object {
    return Object.fromEntries(
      ['fast', 'backup'].map((uplink) => [uplink, [{ from: this.path(uplink), to: this.path('target') }]]),
    );
  }

  /** A check that says that it runs and waits for its end. */
  configureSlowCheck(): void {
    const script = `touch ${this.path('checking')}; while [ -e ${this.path('wait')} ]; do sleep 0.05; done`;
    writeFileSync(this.path('wait'), '');
    this.configure({ follow: { exim: { copies: this.#copies(), check: ['sh', '-c', script] } } });
  }

  argv(): string[] {
    const places = ['--config', this.path('backroute.yaml'), '--state-dir', this.path('state'), '--run-dir', this.path('run')];
    return [MAIN, ...places, 'helper', '--group', String(GID)];
  }

  async start(): Promise<void> {
    const child = spawn(process.execPath, this.argv(), { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (data) => {
        this.said += String(data);
      });
    }
    assert.ok(await until(() => this.said.includes('listens on'), 10_000, 20), this.said);
  }

  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
    const child = this.#child;
    this.#child = null;
    if (child === null) return null;
    const ended = once(child, 'close');
    child.kill(signal);
    const [code] = await ended;
    this.said = '';
    return code;
  }

  async follow(run: number, uplink: string): Promise<FollowOutcome> {
    this.client.follow({ run, follower: this.follower(), uplink });
    const found = (): FollowOutcome | undefined => this.outcomes.find((outcome) => outcome.run === run);
    assert.ok(await until(() => found() !== undefined, 10_000, 20), this.said);
    return found() ?? assert.fail();
  }
}

test('a service follows, its configuration read anew for each request', { skip, timeout: 60_000 }, async (t) => {
  const stage = new Stage(t);
  await stage.start();
  const { ok, changed } = await stage.follow(1, 'fast');
  assert.deepEqual([ok, changed, stage.target()], [true, true, 'smarthost of fast\n']);
  assert.equal((await stage.follow(2, 'fast')).changed, false, 'it stands so');
  stage.configure({});
  assert.equal((await stage.follow(3, 'backup')).text, 'the configuration holds no exim');
  writeFileSync(stage.path('backroute.yaml'), 'uplinks: {');
  assert.match((await stage.follow(4, 'backup')).text, /^the configuration does not validate: .*backroute\.yaml:1/);
  assert.equal(stage.target(), 'smarthost of fast\n');
  assert.equal(await stage.end('SIGTERM'), 0);
  assert.ok(!existsSync(stage.path('run/helper.sock')));
});

test('killed in the middle: the run has failed, and asked again it is brought to its end', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const stage = new Stage(t);
  await stage.start();
  await stage.follow(1, 'fast');
  stage.configureSlowCheck();
  const interrupted = stage.follow(2, 'backup');
  assert.ok(await until(() => existsSync(stage.path('checking')), 10_000, 20));
  await stage.end('SIGKILL');
  const { ok, superseded, text } = await interrupted;
  assert.deepEqual([ok, superseded], [false, false]);
  assert.match(text, /the helper ended in the middle/);
  rmSync(stage.path('wait'));
  await stage.start();
  assert.equal((await stage.follow(3, 'backup')).ok, true);
  assert.equal(stage.target(), 'smarthost of backup\n');
});

test('told to end in the middle it leaves nothing halfway', { skip, timeout: 60_000 }, async (t) => {
  const stage = new Stage(t);
  await stage.start();
  await stage.follow(1, 'fast');
  stage.configureSlowCheck();
  const interrupted = stage.follow(2, 'backup');
  assert.ok(await until(() => existsSync(stage.path('checking')), 10_000, 20));
  assert.equal(await stage.end('SIGTERM'), 0);
  assert.equal((await interrupted).ok, false);
  assert.equal(stage.target(), 'smarthost of fast\n');
});

test('one at a time, for root alone', { skip, timeout: 60_000 }, async (t) => {
  const stage = new Stage(t);
  await stage.start();
  const run = async (ids: { uid: number; gid: number } | null): Promise<[number | null, string]> => {
    const child = spawn(process.execPath, stage.argv(), { ...ids, stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.on('data', (data) => {
      said += String(data);
    });
    const [code] = await once(child, 'close');
    return [code, said];
  };
  const [twice, why] = await run(null);
  assert.equal(twice, 1);
  assert.match(why, /another helper serves /);
  const [denied, because] = await run({ uid: NOBODY, gid: NOBODY });
  assert.equal(denied, 3);
  assert.match(because, /it must be root\n {2}-> .*systemctl start backroute-helper/);
  assert.equal((await stage.follow(1, 'fast')).ok, true, 'the first one serves on');
});
