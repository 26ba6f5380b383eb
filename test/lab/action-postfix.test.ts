/**
 * A real Postfix follows the way out: relayhost and login, checked, reloaded, read back, its queue flushed; put back when anything
 * fails, and led to what is wanted after a kill at any step. Own instance, own network.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import type { RelayConfig } from '../../src/core/services.js';
import { until } from '../../src/lab/until.js';
import { FollowBench, followInAgent } from '../support/follow-bench.js';
import { enterOwnNetwork, needsRoot } from '../support/own-network.js';
import { needsPostfix, PostfixInstance } from '../support/postfix-instance.js';
import { Smarthost } from '../support/smarthost.js';

const FAST_PASSWORD = 'f4st ünd: "geheim" $x #1';
const BACKUP_PASSWORD = 'b4ckup-geheim';
const PARAMETERS = ['relayhost', 'smtp_sasl_auth_enable', 'smtp_sasl_password_maps'];

describe('Postfix follows', { skip: needsRoot || needsPostfix, timeout: 5 * 60_000 }, () => {
  let secrets: string;
  let state: string;
  let postfix: PostfixInstance;
  let fast: Smarthost;
  let backup: Smarthost;
  let bench: FollowBench;

  before(async () => {
    enterOwnNetwork();
    secrets = mkdtempSync(join(tmpdir(), 'backroute-secrets-'));
    writeFileSync(join(secrets, 'fast'), `${FAST_PASSWORD}\n`, { mode: 0o600 });
    writeFileSync(join(secrets, 'backup'), BACKUP_PASSWORD, { mode: 0o600 });
    fast = await Smarthost.start('127.0.0.2', 587, { user: 'fast-user', password: FAST_PASSWORD });
    backup = await Smarthost.start('127.0.0.3', 587, { user: 'backup-user', password: BACKUP_PASSWORD });
    postfix = new PostfixInstance(['smtp_sasl_security_options=noanonymous']);
    postfix.start();
  });
  after(async () => {
    postfix?.remove();
    await Promise.all([fast?.close(), backup?.close()]);
    if (secrets !== undefined) rmSync(secrets, { recursive: true });
  });
  beforeEach(() => {
    state = mkdtempSync(join(tmpdir(), 'backroute-state-'));
    bench = new FollowBench({ stateDirectory: state });
    for (const host of [fast, backup]) {
      host.mails.length = 0;
      host.silent = false;
    }
    postfix.postconf('-X', ...PARAMETERS);
    for (const map of maps()) rmSync(join(postfix.config, map));
  });
  afterEach(async () => {
    await bench.runner.close();
    rmSync(state, { recursive: true, force: true });
  });

  const maps = (): string[] => readdirSync(postfix.config).filter((name) => name.startsWith('backroute_'));
  const journals = (): string[] => (existsSync(join(state, 'following')) ? readdirSync(join(state, 'following')) : []);
  const standing = (): (string | null)[] => PARAMETERS.map((name) => postfix.setting(name));
  const relay = (change: Partial<RelayConfig> = {}): RelayConfig => ({
    kind: 'mail-relay',
    name: 'mail-relay',
    postfixDirectory: postfix.config,
    timeoutMs: 60_000,
    smarthosts: {
      fast: {
        relayhost: '[127.0.0.2]:587',
        host: '127.0.0.2',
        port: 587,
        login: { user: 'fast-user', password: { kind: 'file', path: join(secrets, 'fast') } },
      },
      backup: {
        relayhost: '[127.0.0.3]:587',
        host: '127.0.0.3',
        port: 587,
        login: { user: 'backup-user', password: { kind: 'file', path: join(secrets, 'backup') } },
      },
    },
    ...change,
  });
  /** Both smarthosts without their logins. */
  const open = (): RelayConfig => {
    const { smarthosts } = relay();
    return relay({
      smarthosts: Object.fromEntries(Object.entries(smarthosts).map(([name, host]) => [name, { ...host, login: null }])),
    });
  };

  test('relayhost and login are set, read back and used; the switch back changes relayhost alone', async () => {
    const first = await bench.ask(relay(), 'fast');
    assert.deepEqual(first, {
      run: 1,
      ok: true,
      changed: true,
      rolledBack: null,
      superseded: false,
      text: 'Postfix relays through [127.0.0.2]:587',
    });
    const [map = ''] = maps();
    assert.deepEqual(standing(), ['[127.0.0.2]:587', 'yes', `texthash:${join(postfix.config, map)}`]);
    assert.equal(statSync(join(postfix.config, map)).mode & 0o777, 0o600);
    postfix.send('one');
    assert.ok(await until(() => fast.mails.length === 1, 20_000), postfix.logText());
    assert.deepEqual(fast.mails, [{ subject: 'one', user: 'fast-user' }]);

    assert.equal((await bench.ask(relay(), 'backup')).changed, true);
    assert.deepEqual(standing(), ['[127.0.0.3]:587', 'yes', `texthash:${join(postfix.config, map)}`]);
    postfix.send('two');
    assert.ok(await until(() => backup.mails.length === 1, 20_000), postfix.logText());
    assert.deepEqual(backup.mails, [{ subject: 'two', user: 'backup-user' }]);

    bench.steps.length = 0;
    const again = await bench.ask(relay(), 'backup');
    assert.deepEqual([again.ok, again.changed], [true, false]);
    assert.deepEqual(bench.steps, ['look']);
    assert.deepEqual(journals(), []);
  });

  test('nothing but relayhost is touched where no uplink has a login, and comments stay', async () => {
    const path = join(postfix.config, 'main.cf');
    writeFileSync(path, `# the administrator's words\n${readFileSync(path, 'utf8')}`);
    const before = readFileSync(path, 'utf8');
    await bench.ask(open(), 'backup');
    assert.equal(readFileSync(path, 'utf8'), `${before}relayhost = [127.0.0.3]:587\n`);
  });

  test("the administrator's own maps stand behind ours and come back", async () => {
    const own = 'static:{none}, inline:{a=b, {c = d}}';
    postfix.postconf('-e', `smtp_sasl_password_maps=${own}`);
    await bench.ask(relay(), 'fast');
    assert.equal(standing()[2], `texthash:${join(postfix.config, maps()[0] ?? '')}, ${own}`);
  });

  test('a new password gets a new map; the old one goes', async () => {
    await bench.ask(relay(), 'fast');
    const [former] = maps();
    writeFileSync(join(secrets, 'backup'), 'another');
    try {
      assert.equal((await bench.ask(relay(), 'fast')).changed, true);
    } finally {
      writeFileSync(join(secrets, 'backup'), BACKUP_PASSWORD);
    }
    assert.equal(maps().length, 1);
    assert.notEqual(maps()[0], former);
    assert.match(readFileSync(join(postfix.config, maps()[0] ?? ''), 'utf8'), /backup-user:another/);
  });

  test('a check that fails: the former state stands again, to the byte', async () => {
    await bench.ask(open(), 'fast');
    const before = readFileSync(join(postfix.config, 'main.cf'), 'utf8');
    // A running master does not mind; `postfix check` does.
    const master = join(postfix.config, 'master.cf');
    const sound = readFileSync(master, 'utf8');
    writeFileSync(master, sound.replace(/^postlog .*$/m, ''));
    try {
      const outcome = await bench.ask(relay(), 'backup');
      assert.deepEqual([outcome.ok, outcome.changed, outcome.rolledBack], [false, false, true], outcome.text);
      assert.match(outcome.text, /^postfix failed with code 1.*; the former state stands again/);
    } finally {
      writeFileSync(master, sound);
    }
    assert.equal(readFileSync(join(postfix.config, 'main.cf'), 'utf8'), before);
    assert.deepEqual([maps(), journals()], [[], []]);
  });

  test('a secret that is not there: nothing is touched, and its value is in no text', async () => {
    const missing = relay();
    const { fast: host } = missing.smarthosts;
    assert.ok(host);
    const smarthosts = {
      fast: { ...host, login: { user: 'x', password: { kind: 'environment', name: 'BACKROUTE_NO' } as const } },
    };
    const outcome = await bench.ask(relay({ smarthosts }), 'fast');
    assert.deepEqual([outcome.ok, outcome.rolledBack], [false, null]);
    assert.match(outcome.text, /the environment variable BACKROUTE_NO is not set/);
    assert.deepEqual(standing(), [null, null, null]);
  });

  test('a directory that is none of Postfix, and an uplink without a smarthost', async () => {
    const outcome = await bench.ask(relay({ postfixDirectory: join(state, 'nowhere') }), 'fast');
    assert.equal(outcome.ok, false);
    assert.match(outcome.text, /postconf failed with code 1: .*nowhere\/main\.cf: No such file/);
    const none = await bench.ask(relay(), 'third');
    assert.deepEqual([none.ok, none.changed], [true, false]);
  });

  test('the dry run names every change and command, and no secret', async () => {
    const lines = await bench.runner.describe({ run: 1, follower: relay(), uplink: 'fast' });
    const text = lines.join('\n');
    assert.match(text, /^mail-relay: would set relayhost = \[127\.0\.0\.2\]:587 in .*main\.cf \(not set now\)$/m);
    assert.match(text, /^mail-relay: would run: postfix -c .* check$/m);
    assert.match(text, /^mail-relay: would run: postqueue -c .* -f$/m);
    assert.doesNotMatch(text, /geheim/);
    assert.deepEqual([standing(), maps(), journals()], [[null, null, null], [], []]);
  });

  test('no secret in any process’s words or environment, in the journal, in the log', async () => {
    const words = new Set<string>();
    const journalTexts = new Set<string>();
    let done = false;
    const watch = (async () => {
      while (!done) {
        for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
          for (const file of ['cmdline', 'environ']) words.add(readOrNothing(`/proc/${pid}/${file}`));
        }
        for (const name of journals()) journalTexts.add(readOrNothing(join(state, 'following', name)));
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    const outcomes = [await bench.ask(relay(), 'fast'), await bench.ask(relay(), 'backup')];
    done = true;
    await watch;
    assert.ok(outcomes.every(({ ok }) => ok));
    assert.ok(
      [...words].some((text) => text.includes('postfix')),
      'the watch saw the tools',
    );
    assert.ok(
      [...journalTexts].some((text) => text.includes('relayhost')),
      'the watch saw the journal',
    );
    for (const text of [...words, ...journalTexts, JSON.stringify(outcomes), postfix.logText()]) {
      assert.ok(!text.includes('geheim'));
    }
  });

  test('what was deferred goes out at once after the switch', async () => {
    await bench.ask(open(), 'fast');
    const gone = relay({
      smarthosts: { ...open().smarthosts, fast: { relayhost: '[127.0.0.9]:587', host: '127.0.0.9', port: 587, login: null } },
    });
    await bench.ask(gone, 'fast');
    for (let i = 0; i < 5; i++) postfix.send(`deferred ${i}`);
    assert.ok(
      await until(() => postfix.queue().filter((name) => name === 'deferred').length === 5, 20_000, 50),
      postfix.logText(),
    );
    const started = performance.now();
    assert.equal((await bench.ask(relay(), 'backup')).ok, true);
    assert.ok(await until(() => postfix.queue().length === 0, 10_000, 20), postfix.logText());
    assert.deepEqual(
      backup.subjects().sort(),
      [0, 1, 2, 3, 4].map((i) => `deferred ${i}`),
    );
    assert.ok(performance.now() - started < 10_000);
  });

  test('a session that hangs in the dead uplink is ended, and its mail goes through the other', async () => {
    await bench.ask(relay(), 'fast');
    fast.silent = true;
    const held = fast.held;
    postfix.send('stuck');
    assert.ok(await until(() => fast.held > held, 20_000), postfix.logText());
    assert.equal((await bench.ask(relay(), 'backup')).ok, true);
    assert.ok(await until(() => backup.subjects().includes('stuck'), 10_000), postfix.logText());
    assert.ok(await until(() => postfix.queue().length === 0, 5_000, 20));
  });

  test('a session through an uplink that works is left to end by itself', async () => {
    await bench.runner.close();
    bench = new FollowBench({ stateDirectory: state, uplinkWorks: () => true });
    await bench.ask(relay(), 'fast');
    fast.silent = true;
    const held = fast.held;
    postfix.send('slow');
    assert.ok(await until(() => fast.held > held, 20_000), postfix.logText());
    const log = postfix.logText().length;
    assert.equal((await bench.ask(relay(), 'backup')).ok, true);
    assert.doesNotMatch(postfix.logText().slice(log), /status=deferred/);
    postfix.run('postsuper', '-d', 'ALL');
  });

  describe('killed at any step', () => {
    const steps = (): string[] => [
      'look',
      'journal',
      ...PARAMETERS.map((name) => `change ${postfix.config} ${name}`),
      'check',
      'reload',
      'verify',
      'settle',
      'drop',
    ];

    for (const [index, name] of ['look', 'journal', ...PARAMETERS, 'check', 'reload', 'verify', 'settle', 'drop'].entries()) {
      test(`${name}: the next wish holds, and nothing is left`, async () => {
        const before = await bench.ask(open(), 'fast');
        assert.equal(before.ok, true, before.text);
        const step = steps()[index] ?? '';
        const ask = { run: 1, follower: relay(), uplink: 'backup' };
        const killed = await followInAgent({ stateDirectory: state, ask, killAt: step });
        assert.deepEqual([killed.signal, killed.steps.at(-1)], ['SIGKILL', step]);
        const outcome = await bench.ask(relay(), 'backup');
        assert.equal(outcome.ok, true, outcome.text);
        assert.deepEqual(standing(), ['[127.0.0.3]:587', 'yes', `texthash:${join(postfix.config, maps()[0] ?? '')}`]);
        assert.deepEqual([maps().length, journals()], [1, []]);
      });
    }
  });

  test('a Postfix that does not run is told of, and has it at its start', async () => {
    postfix.stop();
    assert.ok(await until(() => !postfix.isRunning(), 10_000, 50));
    const outcome = await bench.ask(relay(), 'backup');
    assert.deepEqual([outcome.ok, outcome.changed], [true, true]);
    assert.match(outcome.text, /Postfix does not run, and takes it up at its start/);
    postfix.start();
    postfix.send('later');
    assert.ok(await until(() => backup.subjects().includes('later'), 20_000), postfix.logText());
  });
});

/** Processes end, and journals go, between the listing and the reading. */
function readOrNothing(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
