/**
 * resolv.conf and systemd-resolved follow the way out. No systemd runs where the tests do: a program of the same name stands in for
 * resolvectl, and says what the manual page says that it says.
 */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { followerProblems } from '../../../src/action/following/problems.js';
import type { ResolverConfig } from '../../../src/core/services.js';
import { FollowBench } from '../../support/follow-bench.js';

let folder = '';
let bench: FollowBench;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'backroute-resolver-'));
});
afterEach(async () => {
  await bench.runner.close();
  rmSync(folder, { recursive: true, force: true });
});

function resolver(how: ResolverConfig['how'], change: Partial<ResolverConfig> = {}): ResolverConfig {
  return {
    kind: 'resolver',
    name: 'resolver',
    how,
    path: join(folder, 'resolv.conf'),
    pidFile: null,
    servers: { fast: ['192.0.2.1', '192.0.2.2'], backup: ['2001:db8::1'] },
    timeoutMs: 10_000,
    ...change,
  };
}

describe('resolv.conf', () => {
  beforeEach(() => {
    bench = new FollowBench({ stateDirectory: folder });
  });
  const path = (): string => join(folder, 'resolv.conf');

  test('the servers are replaced where they stood; everything else stays', async () => {
    writeFileSync(path(), '# mine\nsearch office.test\nnameserver 198.51.100.1\noptions edns0\nnameserver 198.51.100.2\n');
    const outcome = await bench.ask(resolver('resolv.conf'), 'fast');
    assert.deepEqual([outcome.ok, outcome.changed, outcome.text], [true, true, 'resolv.conf asks 192.0.2.1, 192.0.2.2']);
    assert.equal(
      readFileSync(path(), 'utf8'),
      '# mine\nsearch office.test\nnameserver 192.0.2.1\nnameserver 192.0.2.2\noptions edns0\n',
    );
    assert.equal((await bench.ask(resolver('resolv.conf'), 'fast')).changed, false);
    await bench.ask(resolver('resolv.conf'), 'backup');
    assert.equal(readFileSync(path(), 'utf8'), '# mine\nsearch office.test\nnameserver 2001:db8::1\noptions edns0\n');
  });

  test('made where there is none; an uplink without servers leaves it alone', async () => {
    await bench.ask(resolver('resolv.conf'), 'third');
    assert.ok(!existsSync(path()));
    await bench.ask(resolver('resolv.conf'), 'backup');
    assert.equal(readFileSync(path(), 'utf8'), 'nameserver 2001:db8::1\n');
  });

  test('a link to what others make is refused, with the remedy', async () => {
    symlinkSync('/run/systemd/resolve/stub-resolv.conf', path());
    const outcome = await bench.ask(resolver('resolv.conf'), 'fast');
    assert.deepEqual([outcome.ok, outcome.changed, outcome.rolledBack], [false, false, null]);
    assert.match(
      outcome.text,
      /leads to \/run\/systemd\/resolve\/stub-resolv\.conf, which is made by systemd-resolved: write `systemd-resolved: \{\}`/,
    );
    const [problem] = await followerProblems(resolver('resolv.conf'));
    assert.match(problem ?? '', /^resolver: .*(made by systemd-resolved|cannot be replaced)/);
  });
});

describe('systemd-resolved', () => {
  const path = process.env.PATH;
  const links: Readonly<Record<string, string>> = { fast: 'eth1', backup: 'eth2' };
  const calls = (): string[] => readFileSync(join(folder, 'calls'), 'utf8').trim().split('\n');

  beforeEach(() => {
    bench = new FollowBench({ stateDirectory: folder, interfaceOf: (uplink) => links[uplink] ?? null });
    mkdirSync(join(folder, 'bin'));
    mkdirSync(join(folder, 'links'));
    for (const file of ['dns eth1', 'dns eth2', 'default-route eth1', 'default-route eth2'])
      writeFileSync(join(folder, 'links', file), file.startsWith('dns') ? '198.51.100.9' : 'yes');
    const fake = `#!/bin/sh
shift
echo "$*" >> ${folder}/calls
[ "$1" = flush-caches ] && exit 0
file="${folder}/links/$1 $2"
[ -e "$file" ] || { echo "Failed to resolve interface \\"$2\\": No such device" >&2; exit 1; }
if [ $# = 2 ]; then echo "Link 7 ($2): $(cat "$file")"; exit 0; fi
[ "$(cat ${folder}/refuse)" = "$1 $2" ] && { echo "Access denied" >&2; exit 1; }
shift 2
[ -e ${folder}/deaf ] || printf '%s' "$*" > "$file"
`;
    writeFileSync(join(folder, 'bin/resolvectl'), fake);
    writeFileSync(join(folder, 'refuse'), '');
    chmodSync(join(folder, 'bin/resolvectl'), 0o755);
    process.env.PATH = `${join(folder, 'bin')}:${path}`;
  });
  afterEach(() => {
    process.env.PATH = path;
  });
  const setting = (name: string): string => readFileSync(join(folder, 'links', name), 'utf8');

  test('the active link has the servers and the default route for names', async () => {
    const outcome = await bench.ask(resolver('systemd-resolved'), 'fast');
    assert.deepEqual([outcome.ok, outcome.text], [true, 'systemd-resolved asks 192.0.2.1, 192.0.2.2']);
    assert.equal(setting('dns eth1'), '192.0.2.1 192.0.2.2');
    assert.deepEqual([setting('default-route eth1'), setting('default-route eth2')], ['yes', 'no']);
    assert.deepEqual(
      calls().filter((call) => call.split(' ').length !== 2),
      ['default-route eth2 no', 'dns eth1 192.0.2.1 192.0.2.2', 'flush-caches'],
    );
    assert.equal((await bench.ask(resolver('systemd-resolved'), 'fast')).changed, false);
  });

  test('a refusal, or a resolver that does not listen: everything is put back', async () => {
    writeFileSync(join(folder, 'refuse'), 'dns eth1');
    const refused = await bench.ask(resolver('systemd-resolved'), 'fast');
    assert.deepEqual([refused.ok, refused.rolledBack], [false, true], refused.text);
    assert.match(refused.text, /^resolvectl failed with code 1: Access denied; the former state stands again/);
    writeFileSync(join(folder, 'refuse'), '');
    writeFileSync(join(folder, 'deaf'), '');
    const deaf = await bench.ask(resolver('systemd-resolved'), 'fast');
    assert.match(deaf.text, /^default-route eth2, dns eth1: read back otherwise than it was written/);
    assert.equal(setting('dns eth1'), '198.51.100.9');
  });

  test('a link without servers of its own is emptied again', async () => {
    writeFileSync(join(folder, 'links/dns eth1'), '');
    writeFileSync(join(folder, 'links/default-route eth1'), 'no');
    writeFileSync(join(folder, 'refuse'), 'default-route eth1');
    const outcome = await bench.ask(resolver('systemd-resolved'), 'fast');
    assert.equal(outcome.rolledBack, true, outcome.text);
    assert.ok(calls().includes('dns eth1 192.0.2.1 192.0.2.2'));
    assert.equal(setting('dns eth1'), '');
    assert.equal(setting('default-route eth2'), 'yes');
  });

  test('an uplink whose interface is not known', async () => {
    const follower = resolver('systemd-resolved', { servers: { third: ['192.0.2.1'] } });
    assert.match((await bench.ask(follower, 'third')).text, /the interface of third is not known yet/);
  });

  test('the dry run', async () => {
    const lines = await bench.runner.describe({ run: 1, follower: resolver('systemd-resolved'), uplink: 'backup' });
    assert.deepEqual(lines, [
      'resolver: would run: resolvectl default-route eth1 no (now yes)',
      'resolver: would run: resolvectl dns eth2 2001:db8::1 (now 198.51.100.9)',
      'resolver: would run: resolvectl flush-caches',
    ]);
  });
});
