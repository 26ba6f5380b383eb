/**
 * The systemd unit: accepted by systemd's own checks, and the daemon does all its work under the limits that stand in it. Needs
 * root, and systemd-analyze for the names of system calls.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { HelperClient } from '../../src/action/helper/client.js';
import type { FollowOutcome } from '../../src/core/action.js';
import { openHistory } from '../../src/history/reader.js';
import { AF_UNIX, bind, close, recv, SOCK_DGRAM, SOCK_NONBLOCK, socket } from '../../src/kernel/libc.js';
import { unixAddress } from '../../src/kernel/notify.js';
import { Lab } from '../../src/lab/lab.js';
import { missingRequirement } from '../../src/lab/requirements.js';
import { startStream } from '../../src/lab/traffic/stream.js';
import { until } from '../../src/lab/until.js';
import { callSetsText, type SandboxOptions, sandboxed } from '../support/sandbox.js';
import { allowedCalls, isOn, parseCallSets, parseUnit, single, words } from '../support/unit-file.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const UNIT = join(ROOT, 'packaging/systemd/backroute.service');
const HELPER_UNIT = join(ROOT, 'packaging/systemd/backroute-helper.service');
const { Unit = {}, Service = {}, Install = {} } = parseUnit(readFileSync(UNIT, 'utf8'));

const analyze = spawnSync('systemd-analyze', ['--version']).status === 0;
const readable = (statSync(join(ROOT, 'bin/backroute')).mode & 0o004) !== 0;
const noAnalyze = analyze ? false : 'needs systemd-analyze (apt-get install systemd)';
const skip = missingRequirement()?.message ?? noAnalyze ?? false;
const skipRun = skip || (readable ? false : 'needs a clone that other users may read');

/** A user and a group that own nothing here. */
const UID = 64_173;
const GID = 64_174;
const CAP_NET_ADMIN = 1n << 12n;
const CAP_NET_RAW = 1n << 13n;

describe('what systemd says of the unit', { skip: noAnalyze }, () => {
  for (const unit of [UNIT, HELPER_UNIT]) {
    test(`verify has no complaint about ${basename(unit)}`, () => {
      const { status, stdout, stderr } = spawnSync('systemd-analyze', ['verify', unit], { encoding: 'utf8' });
      assert.deepEqual({ status, said: stdout + stderr }, { status: 0, said: '' });
    });
  }

  test('its exposure is low', () => {
    const text = execFileSync('systemd-analyze', ['security', '--offline=true', '--no-pager', UNIT], { encoding: 'utf8' });
    const score = Number(/Overall exposure level for backroute\.service: ([\d.]+)/.exec(text)?.[1]);
    // Two capabilities, the machine's own network and /proc/sys/net cost 2 points that cannot be saved.
    assert.ok(score <= 2.1, text);
  });
});

describe('what the unit asks of systemd', () => {
  test('it is told when the daemon is ready, watches it, and starts it again without end', () => {
    assert.equal(single(Service, 'Type'), 'notify');
    assert.match(single(Service, 'WatchdogSec') ?? '', /^\d+s$/);
    assert.equal(single(Service, 'Restart'), 'always');
    assert.equal(single(Unit, 'StartLimitIntervalSec'), '0');
    assert.deepEqual(words(Install, 'WantedBy'), ['multi-user.target']);
  });

  test('two capabilities and no more', () => {
    for (const key of ['AmbientCapabilities', 'CapabilityBoundingSet']) {
      assert.deepEqual(words(Service, key), ['CAP_NET_ADMIN', 'CAP_NET_RAW']);
    }
  });

  test('nothing that systemd accepts and Backroute dies of', () => {
    assert.ok(!isOn(Service, 'MemoryDenyWriteExecute'), 'V8 compiles at run time');
    assert.ok(!isOn(Service, 'ProtectKernelTunables'), 'net sysctls are written');
    assert.equal(single(Service, 'ProcSubset'), null, '/proc/sys/net and /proc/net are read');
  });

  test('calls that change the machine are among the refused', { skip: noAnalyze }, () => {
    const calls = allowedCalls(Service, parseCallSets(callSetsText()));
    for (const call of ['mount', 'reboot', 'setuid', 'ptrace', 'bpf', 'init_module', 'chroot', 'sched_setaffinity']) {
      assert.ok(!calls.has(call), call);
    }
    for (const call of ['read', 'epoll_wait', 'execve', 'chown', 'socket', 'clone', 'flock']) assert.ok(calls.has(call), call);
  });
});

interface Place extends SandboxOptions {
  readonly dir: string;
}

function makePlace(config: string): Place {
  const dir = mkdtempSync(join(tmpdir(), 'unit-limits-'));
  after(() => rmSync(dir, { recursive: true, force: true }));
  const folder = (name: string): string => {
    mkdirSync(join(dir, name));
    return join(dir, name);
  };
  const place = {
    dir,
    service: Service,
    uid: UID,
    gid: GID,
    state: folder('state'),
    runtime: folder('runtime'),
    logs: folder('logs'),
  };
  const etc = folder('etc');
  writeFileSync(join(etc, 'backroute.yaml'), config);
  return { ...place, etc, env: { BACKROUTE_CONFIG: '/mnt/etc/backroute.yaml' } };
}

const CONFIG = `
uplinks:
  fast:
    gateway: 192.168.1.253
    gateway6: fe80::253
    interface: lan0
    targets: [212.254.0.1, '2001:db8:1::1']
  backup:
    gateway: 192.168.1.1
    gateway6: fe80::1
    interface: lan0
defaults:
  fail-after: 0s
  recover-after: 500ms
  probe: {interval: 200ms}
masquerade: true
log: /mnt/logs/backroute.log
`;

describe('under the limits of the unit', { skip: skipRun, timeout: 120_000 }, () => {
  let lab: Lab;
  before(async () => {
    lab = await Lab.create('classic');
  });
  after(() => lab?.destroy());

  const start = (place: Place, argv: readonly string[]): ChildProcess =>
    lab.spawn('gateway', sandboxed(place, argv), { stdio: ['ignore', 'pipe', 'pipe'] });

  /** Runs a program to its end. */
  async function result(place: Place, argv: readonly string[]): Promise<{ code: number | null; said: string }> {
    const child = start(place, argv);
    let said = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk) => {
        said += String(chunk);
      });
    }
    const [code] = await once(child, 'close');
    return { code, said };
  }

  test('the limits are real: what the unit forbids fails', async () => {
    const place = makePlace(CONFIG);
    const script = `
      id -u; id -g
      grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status
      touch /usr/x && echo wrote-usr
      touch /etc/x && echo wrote-etc
      touch /var/lib/x && echo wrote-var
      touch /mnt/backroute/x && echo wrote-clone
      touch /tmp/x && echo private-tmp
      touch /mnt/state/x && echo wrote-state
      ls /root /home && echo read-home
      unshare --user true && echo made-namespace
      test -e /dev/net/tun && echo has-tun
      test -e /proc/1/status && echo sees-init
      node -e 'require("net").createServer().listen("/mnt/runtime/s", () => { console.log("unix-socket"); process.exit() })'
      node -e 'try { require("os").setPriority(-20); console.log("set-priority") } catch {}'
      chgrp 0 /mnt/state/x && echo gave-away
      exit 7`;
    const { code, said } = await result(place, ['/bin/sh', '-c', script]);
    assert.equal(code, 7, said);
    const lines = said.split('\n');
    assert.deepEqual(lines.slice(0, 2), [String(UID), String(GID)], said);
    const field = (name: string) => lines.find((line) => line.startsWith(`${name}:`))?.split('\t')[1];
    const caps = (CAP_NET_ADMIN | CAP_NET_RAW).toString(16).padStart(16, '0');
    assert.deepEqual(['CapEff', 'CapBnd', 'NoNewPrivs', 'Seccomp'].map(field), [caps, caps, '1', '2'], said);
    const done = lines.filter((line) => /^[a-z]+(-[a-z]+)+$/.test(line));
    assert.deepEqual(done, ['private-tmp', 'wrote-state', 'unix-socket'], said);
  });

  test('the daemon gets ready, fails over in both families, reloads, and stops as the unit wants it', async () => {
    const place = makePlace(CONFIG);
    const notifyPath = join(place.etc, 'notify');
    const notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    bind(notify, unixAddress(notifyPath) ?? Buffer.alloc(0));
    chmodSync(notifyPath, 0o666);
    const heard: string[] = [];
    const drain = (): void => {
      const buffer = Buffer.alloc(4096);
      for (let length = recv(notify, buffer); length !== null; length = recv(notify, buffer)) {
        heard.push(buffer.toString('utf8', 0, length));
      }
    };
    // The socket's queue is short, and what does not fit is not said again.
    const draining = setInterval(drain, 20);
    after(() => {
      clearInterval(draining);
      close(notify);
    });
    const hears = (wanted: RegExp, withinMs: number) =>
      until(() => {
        drain();
        return heard.some((message) => wanted.test(message));
      }, withinMs);

    const [env, ...startArgv] = words(Service, 'ExecStart');
    assert.equal(env, '/usr/bin/env');
    const daemon = start({ ...place, env: { ...place.env, NOTIFY_SOCKET: '/mnt/etc/notify', WATCHDOG_USEC: '800000' } }, [
      '/usr/bin/env',
      ...startArgv,
    ]);
    const ended = once(daemon, 'close');
    let log = '';
    for (const stream of [daemon.stdout, daemon.stderr]) {
      stream?.on('data', (chunk) => {
        log += String(chunk);
      });
    }
    assert.ok(await hears(/^READY=1/, 8000), log);
    assert.ok(await hears(/^WATCHDOG=1$/, 4000), `the watchdog was not fed: ${heard}`);

    const route = async (family: 4 | 6): Promise<string> => {
      const { stdout } = await lab.exec('gateway', ['ip', '-j', `-${family}`, 'route', 'show', 'default']);
      const routes = JSON.parse(stdout) as { gateway: string; metric?: number }[];
      return routes.toSorted((a, b) => (a.metric ?? 0) - (b.metric ?? 0))[0]?.gateway ?? 'none';
    };
    const goesBy = async (by4: string, by6: string): Promise<void> => {
      const both = async () => (await route(4)) === by4 && (await route(6)) === by6;
      assert.ok(await until(both, 10_000, 20), `${await route(4)} and ${await route(6)}, not ${by4} and ${by6}\n${log}`);
    };
    const ready = () => (log.match(/"to":"up"/g) ?? []).length >= 4;
    assert.ok(await until(ready, 8000), `no verdicts: ${log}`);
    const stream = await startStream(lab, { direction: 'download' });
    await lab.cut('fast', 'silent');
    await goesBy('192.168.1.1', 'fe80::1');
    const isTold = async (): Promise<boolean> => (await stream.report()).connections[0]?.closed?.how === 'ECONNRESET';
    assert.ok(await until(isTold, 8000, 50), `the client still waits for a dead download: ${log}`);
    await stream.stop();
    assert.match(log, /connections by fast were ended/);
    const unable = log.split('\n').filter((line) => line.includes('"kind":"flows"') && line.includes('"level":"warn'));
    assert.deepEqual(unable, []);
    await lab.mend('fast');
    await goesBy('192.168.1.253', 'fe80::253');

    const sysctl = (key: string) => lab.exec('gateway', ['cat', `/proc/sys/net/${key}`]).then(({ stdout }) => stdout.trim());
    assert.equal(await sysctl('ipv4/conf/all/send_redirects'), '0');
    assert.equal(await sysctl('ipv4/ping_group_range'), `${GID}\t${GID}`);
    const table = await lab.exec('gateway', ['nft', 'list', 'table', 'inet', 'backroute']);
    assert.match(table.stdout, /nd-redirect/);

    writeFileSync(join(place.etc, 'backroute.yaml'), CONFIG.replace('recover-after: 500ms', 'recover-after: 600ms'));
    const [, ...reloadArgv] = words(Service, 'ExecReload');
    const reloaded = await result(place, ['/usr/bin/env', ...reloadArgv]);
    assert.equal(reloaded.code, 0, reloaded.said);
    writeFileSync(join(place.etc, 'backroute.yaml'), CONFIG.replace('gateway: 192.168.1.1\n', 'gateway: 192.168.1.1111\n'));
    const refused = await result(place, ['/usr/bin/env', ...reloadArgv]);
    assert.equal(refused.code, 2, refused.said);

    daemon.kill('SIGTERM');
    const [code] = await ended;
    assert.equal(code, 0, log);
    assert.ok(await hears(/^STOPPING=1$/, 1000));
    await goesBy('192.168.1.253', 'fe80::253');
    const complaints = log.split('\n').filter((line) => /"level":"error"|EPERM|EACCES|EROFS/.test(line));
    assert.deepEqual(
      complaints.filter((line) => !line.includes('reload: nothing was changed')),
      [],
    );
    assert.match(readFileSync(join(place.logs, 'backroute.log'), 'utf8'), / fast IPv4 up -> down upstream-silent: /);
    const past = openHistory(join(place.state, 'history.db'));
    assert.ok(past.switches(0, Number.MAX_SAFE_INTEGER).length >= 4, `the history has not all of it\n${log}`);
    past.close();
    const stateFile = statSync(join(place.state, 'state.json'));
    assert.deepEqual([stateFile.uid, stateFile.gid, stateFile.mode & 0o007], [UID, GID, 0]);
    assert.ok(!existsSync(join(place.runtime, 'control.sock')), 'the control socket went with the daemon');
  });

  test('without CAP_NET_ADMIN it ends at once and says so', async () => {
    const { code, said } = await result({ ...makePlace(CONFIG), capabilities: ['CAP_NET_RAW'] }, [
      '/usr/bin/env',
      'backroute',
      'run',
    ]);
    assert.equal(code, 3, said);
    assert.match(said, /lacks the capability CAP_NET_ADMIN/);
  });
});

describe('the helper under the limits of its unit', { skip: skipRun, timeout: 60_000 }, () => {
  const { Service: HelperService = {} } = parseUnit(readFileSync(HELPER_UNIT, 'utf8'));

  test('it gets ready, serves the group alone, makes a service follow, and ends when told', async () => {
    const config = `${CONFIG}follow:
  exim:
    copies: {fast: [{from: /mnt/logs/exim.fast, to: /mnt/logs/exim.conf}]}
    check: [test, -s, /mnt/logs/exim.conf]
`;
    const place = { ...makePlace(config), service: HelperService, uid: 0, gid: 0 };
    // The sandbox has no group of that name: the number of the one in the unit's place.
    const argv = words(HelperService, 'ExecStart').map((word) =>
      word === 'backroute'
        ? word
        : word.replace('/var/lib/backroute-helper', '/mnt/state').replace('/run/backroute-helper', '/mnt/runtime'),
    );
    assert.deepEqual(argv.slice(-3), ['helper', '--group', 'backroute']);
    writeFileSync(join(place.logs, 'exim.fast'), 'smarthost of fast\n');
    const [command = '', ...rest] = sandboxed(place, [...argv.slice(0, -1), String(GID)]);
    const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
    const ended = once(child, 'close');
    let said = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        said += String(chunk);
      });
    }
    const path = join(place.runtime, 'helper.sock');
    const outcomes: FollowOutcome[] = [];
    const client = new HelperClient({
      path,
      facts: () => ({ works: [], interfaces: {} }),
      onOutcome: (outcome) => outcomes.push(outcome),
      onLog: () => undefined,
    });
    try {
      assert.ok(await until(() => existsSync(path) && statSync(path).gid === GID, 10_000, 20), said);
      assert.equal(statSync(path).mode & 0o777, 0o660);
      const follower = { kind: 'files', name: 'exim', copies: {}, check: null, reload: null, timeoutMs: 5_000 } as const;
      client.follow({ run: 1, follower, uplink: 'fast' });
      assert.ok(await until(() => outcomes.length === 1, 10_000, 20), said);
      assert.deepEqual([outcomes[0]?.ok, outcomes[0]?.changed], [true, true], JSON.stringify(outcomes));
      assert.equal(readFileSync(join(place.logs, 'exim.conf'), 'utf8'), 'smarthost of fast\n');
    } finally {
      await client.close();
      child.kill('SIGTERM');
    }
    assert.deepEqual(await ended, [0, null], said);
    assert.match(said, /listens on /);
  });
});
