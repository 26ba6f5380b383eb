/**
 * A probe leaves through its uplink or not at all: marks, tables and guards, whatever main says. Real kernel, own network.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import type { TargetQuestion } from '../../src/core/config.js';
import { enterOwnNetwork, ip, needsRoot } from '../support/own-network.js';
import { ProbeBench, probePath, until } from '../support/probe-bench.js';
import { echoReply, Tun } from '../support/tun.js';

const NFT = ['/usr/sbin/nft', '/sbin/nft', '/usr/bin/nft'].find((path) => existsSync(path));
const TARGET = '203.0.113.9';
const FAST = probePath({ key: 'fast/4', mark: 0x101, interface: 'fast0' });
const BACKUP = probePath({ key: 'backup/4', mark: 0x102, interface: 'backup0' });

const QUESTIONS: Readonly<Record<string, TargetQuestion>> = {
  icmp: { kind: 'icmp' },
  tcp: { kind: 'tcp', port: 443 },
  http: { kind: 'http', url: 'http://example.org/', port: 80, statuses: [], bodyContains: null },
  dns: { kind: 'dns', name: 'example.org', type: 'A', port: 53 },
};

describe('probes and routing', { skip: needsRoot }, () => {
  let fast: Tun;
  let backup: Tun;
  let bench: ProbeBench;
  before(() => {
    enterOwnNetwork();
    fast = new Tun('fast0', ['10.1.0.1/24']);
    backup = new Tun('backup0', ['10.2.0.1/24']);
    ip('rule add priority 100 fwmark 0x101 table 101');
    ip('rule add priority 101 fwmark 0x102 table 102');
    for (const table of [101, 102]) ip(`route add unreachable default metric 4294967295 table ${table}`);
    ip('route add default dev fast0 table 101');
    ip('route add default dev backup0 table 102');
    // What must not matter: the active uplink is the backup, and main knows the target itself.
    ip('route add default dev backup0');
    ip(`route add ${TARGET} dev backup0`);
  });
  after(() => {
    fast.close();
    backup.close();
  });
  beforeEach(() => {
    fast.take();
    backup.take();
    bench = new ProbeBench();
  });
  afterEach(() => bench.prober.close());

  for (const [name, question] of Object.entries(QUESTIONS)) {
    test(`${name}: through the uplink asked, though main has a more specific route elsewhere`, async () => {
      bench.ask(question, TARGET, FAST);
      await until(() => fast.take().length > 0, 'a packet on the fast uplink');
      assert.equal(backup.take().length, 0);
      bench.ask(question, TARGET, BACKUP);
      await until(() => backup.take().length > 0, 'a packet on the backup');
      assert.equal(fast.take().length, 0);
    });

    test(`${name}: not at all when the uplink's route is gone`, async () => {
      ip('route del default dev fast0 table 101');
      try {
        const id = bench.ask(question, TARGET, FAST);
        assert.equal(await bench.told(id), 'no-route: no route: host unreachable');
        assert.equal(fast.take().length + backup.take().length, 0);
      } finally {
        ip('route add default dev fast0 table 101');
      }
    });
  }

  test('without the guard it would leak: the test above can fail', async () => {
    ip('route flush table 101');
    try {
      bench.ask({ kind: 'icmp' }, TARGET, FAST);
      await until(() => backup.takeEchoes().length > 0, 'the leaked probe');
    } finally {
      ip('route add unreachable default metric 4294967295 table 101');
      ip('route add default dev fast0 table 101');
    }
  });

  test('one target through two uplinks: each answer is told of its own probe', async () => {
    const good = bench.ask({ kind: 'icmp' }, TARGET, BACKUP);
    const dead = bench.ask({ kind: 'icmp' }, TARGET, FAST, 300);
    await until(() => {
      for (const echo of backup.takeEchoes()) backup.write(echoReply(echo));
      return bench.of(good).length > 0;
    }, 'the answer through the backup');
    assert.equal(await bench.told(good), 'answered');
    assert.equal(await bench.told(dead), 'timeout: no answer');
  });

  test('the device of an uplink binds, whatever the mark', async () => {
    const bound = probePath({ key: 'bound/4', mark: 0, device: 'fast0', interface: 'fast0' });
    bench.ask({ kind: 'icmp' }, '10.1.0.9', bound);
    await until(() => fast.takeEchoes().length === 1, 'a probe on the device');
    assert.equal(backup.takeEchoes().length, 0);
  });

  test('a firewall of our own is not the uplink', { skip: NFT === undefined ? 'needs nft' : false }, async () => {
    assert.ok(NFT !== undefined);
    const rules = `table ip t { chain o { type filter hook output priority 0; ip daddr ${TARGET} drop; }; }`;
    execFileSync(NFT, ['-f', '-'], { input: rules });
    try {
      const expected = 'local-fault: a firewall of this machine refuses the probe (EPERM)';
      assert.equal(await bench.told(bench.ask({ kind: 'icmp' }, TARGET, FAST)), expected);
      assert.equal(await bench.told(bench.ask(QUESTIONS.dns ?? { kind: 'icmp' }, TARGET, FAST)), expected);
    } finally {
      execFileSync(NFT, ['delete', 'table', 'ip', 't']);
    }
  });
});
