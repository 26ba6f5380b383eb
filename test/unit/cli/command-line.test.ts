/** The program as a user starts it: exit codes and what goes to which stream. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openControlSocket } from '../../../src/api/server.js';
import { placesOf } from '../../../src/cli/places.js';
import { EventJournal } from '../../../src/history/journal.js';
import { LOCK_FILE } from '../../../src/history/state-store.js';
import { lockFile } from '../../../src/kernel/lock.js';
import { calmView, entry } from '../../support/status-views.js';

const MAIN = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url));
const needsRoot = process.getuid?.() === 0 ? false : 'needs root';

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'backroute-cli-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function backroute(dir: string, ...args: string[]): Promise<Ended> {
  const environment = {
    ...process.env,
    BACKROUTE_CONFIG: join(dir, 'backroute.yaml'),
    BACKROUTE_STATE_DIR: join(dir, 'state'),
    BACKROUTE_RUN_DIR: dir,
  };
  const child = spawn(process.execPath, [MAIN, ...args], { env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let err = '';
  child.stdout.on('data', (data) => {
    out += String(data);
  });
  child.stderr.on('data', (data) => {
    err += String(data);
  });
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, out, err })));
}

const GOOD = 'uplinks:\n  fast:\n    gateway: 192.168.1.253\n  backup:\n    gateway: 192.168.1.1\n';

async function daemonAt(t: TestContext, dir: string): Promise<string[]> {
  const commands: string[] = [];
  const socket = await openControlSocket({
    path: join(dir, 'control.sock'),
    group: null,
    mode: 0o600,
    backend: {
      view: calmView,
      health: () => ({ ok: true, version: '1', pid: 1, uptimeMs: 1, problems: [] }),
      eventsReady: () => Promise.resolve(),
      events: () => [entry(1_772_000_000_000)],
      follow: () => () => undefined,
      command: async (command) => {
        commands.push(JSON.stringify(command));
        return { ok: true, text: 'IPv4 leaves by backup', details: ['the administrator: force backup'] };
      },
      reload: () =>
        Promise.resolve({ ok: false, text: 'the config has problems: nothing was changed', details: ['a.yaml:3: wrong'] }),
    },
  });
  t.after(() => socket.close());
  return commands;
}

test('without a daemon: 4, and what to do', async (t) => {
  for (const args of [['status'], ['force', 'fast'], ['auto'], ['reload'], ['events', '--follow'], ['drill']]) {
    const { code, out, err } = await backroute(folder(t), ...args);
    assert.equal(code, 4, args.join(' '));
    assert.equal(out, '');
    assert.match(err, /no daemon is running\n {2}-> .*systemctl start backroute/);
  }
});

test('events are told without a daemon too, from its file', async (t) => {
  const dir = folder(t);
  const journal = new EventJournal(join(dir, 'state'), () => undefined);
  for (const wallMs of [1_772_000_000_000, 1_772_000_001_000]) journal.append(entry(wallMs));
  await journal.close();
  const { code, out } = await backroute(dir, 'events', '--json', '--limit', '1');
  assert.equal(code, 0);
  assert.deepEqual(JSON.parse(out), entry(1_772_000_001_000));
});

test('with a daemon: status for people and for programs, orders, and a failed reload is 2', async (t) => {
  const dir = folder(t);
  const commands = await daemonAt(t, dir);
  const status = await backroute(dir, 'status');
  assert.equal(status.code, 0);
  assert.match(status.out, /^IPv4 leaves by fast since .*: its targets answer\.\n/);
  assert.ok(!status.out.includes('\u001b'), 'no colours into a pipe');
  assert.deepEqual(JSON.parse((await backroute(dir, 'status', '--json')).out), calmView());
  const forced = await backroute(dir, 'force', 'backup');
  assert.equal(forced.code, 0);
  assert.equal(forced.out, 'the administrator: force backup\nIPv4 leaves by backup\n');
  assert.deepEqual(commands, ['{"verb":"force","uplink":"backup"}']);
  const wrong = await backroute(dir, 'disable', 'fats');
  assert.equal(wrong.code, 1);
  assert.match(wrong.err, /no uplink 'fats' \(there are: fast, backup\)/);
  const reload = await backroute(dir, 'reload');
  assert.equal(reload.code, 2);
  assert.match(reload.err, /nothing was changed\na\.yaml:3: wrong/);
});

test('a config with problems is 2, and every problem is shown', async (t) => {
  const dir = folder(t);
  writeFileSync(join(dir, 'backroute.yaml'), 'uplinks:\n  fast:\n    gatway: 192.168.1.253\n    fail-after: 5\n');
  for (const verb of ['check', 'run', 'once']) {
    const { code, err } = await backroute(dir, verb);
    assert.equal(code, 2, verb);
    assert.match(err, /gatway/);
    assert.match(err, /fail-after/);
  }
});

test('check tells programs the problems and what to expect', async (t) => {
  const dir = folder(t);
  const path = join(dir, 'other.yaml');
  const check = async (): Promise<{
    code: number | null;
    answer: { ok: boolean; problems: object[]; advice: object | null };
  }> => {
    const { code, out } = await backroute(dir, 'check', '--json', '--config', path);
    return { code, answer: JSON.parse(out) };
  };
  writeFileSync(path, GOOD);
  const good = await check();
  // Whether the gateways are in a network of the machine that runs this test, nobody knows.
  assert.equal(good.code, good.answer.ok ? 0 : 2);
  assert.ok(good.answer.advice !== null);
  writeFileSync(path, 'uplink: {}\n');
  const bad = await check();
  assert.equal(bad.code, 2);
  assert.equal(bad.answer.ok, false);
  assert.ok(bad.answer.problems.length > 0);
});

test('wrong usage is 1, on standard error', async (t) => {
  for (const args of [['fly'], ['force'], ['status', '--fast'], ['events', '--limit', 'x']]) {
    const { code, out, err } = await backroute(folder(t), ...args);
    assert.equal(code, 1, args.join(' '));
    assert.equal(out, '');
    assert.notEqual(err, '');
  }
});

test('help and version are 0, on standard output', async (t) => {
  const help = await backroute(folder(t), '--help');
  assert.equal(help.code, 0);
  for (const verb of ['run', 'once', 'check', 'status', 'events', 'force', 'drill', 'reload', 'cleanup', 'doctor', 'lab']) {
    assert.match(help.out, new RegExp(`^  ${verb} `, 'm'));
  }
  assert.match(help.out, /Exit codes/);
  assert.match((await backroute(folder(t), '--version')).out, /^\d+\.\d+\.\d+\n$/);
});

test('one at a time: run and cleanup refuse, once gives way', { skip: needsRoot }, async (t) => {
  const dir = folder(t);
  writeFileSync(join(dir, 'backroute.yaml'), GOOD);
  mkdirSync(join(dir, 'state'));
  const lock = lockFile(join(dir, 'state', LOCK_FILE));
  assert.ok(lock !== null);
  t.after(() => lock.release());
  for (const [verb, expected, text] of [
    ['run', 1, `process ${process.pid}`],
    ['cleanup', 1, `process ${process.pid}`],
    ['once', 0, 'nothing was done'],
  ] as const) {
    const { code, err } = await backroute(dir, verb);
    assert.equal(code, expected, `${verb}: ${err}`);
    assert.ok(err.includes(text), err);
  }
});

test('without the right to change the network: 3, before anything is touched', { skip: needsRoot }, async (t) => {
  const dir = folder(t);
  writeFileSync(join(dir, 'backroute.yaml'), GOOD);
  chmodSync(dir, 0o755);
  const child = spawn(
    process.execPath,
    [MAIN, 'run', '--config', join(dir, 'backroute.yaml'), '--state-dir', join(dir, 'state')],
    {
      uid: 65534,
      gid: 65534,
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  let err = '';
  child.stderr.on('data', (data) => {
    err += String(data);
  });
  const code = await new Promise((resolve) => child.on('close', resolve));
  assert.equal(code, 3, err);
  assert.match(err, /CAP_NET_ADMIN\n {2}-> /);
  assert.ok(!existsSync(join(dir, 'state')));
});

test('places: options before environment before the usual', () => {
  assert.deepEqual(placesOf({}, {}), {
    configPath: '/etc/backroute/backroute.yaml',
    stateDir: '/var/lib/backroute',
    runDir: '/run/backroute',
  });
  assert.equal(placesOf({ stateDir: '/a' }, { BACKROUTE_STATE_DIR: '/b', STATE_DIRECTORY: '/c' }).stateDir, '/a');
  assert.equal(placesOf({}, { BACKROUTE_STATE_DIR: '/b', STATE_DIRECTORY: '/c' }).stateDir, '/b');
  assert.equal(placesOf({}, { RUNTIME_DIRECTORY: '/c' }).runDir, '/c');
});
