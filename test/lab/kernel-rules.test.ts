/** Policy rules by the kernel adapter against a real kernel, in the words of ip-rule(8). */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { RuleState } from '../../src/core/kernel.js';
import { enterTestNamespace, needsRoot, type TestNamespace } from './kernel-namespace.js';
import { kernel, must, OURS, one, read } from './kernel-words.js';

describe('rules of the kernel adapter', { skip: needsRoot }, () => {
  let namespace: TestNamespace;
  before(() => {
    namespace = enterTestNamespace();
  });
  after(() => kernel.close());

  for (const family of [4, 6] as const) {
    test(`a destination bound to a table, for what this machine sends itself: IPv${family}`, async () => {
      const destination = family === 4 ? '203.0.113.25/32' : '2001:db8:25::1/128';
      const rule: RuleState = {
        family,
        priority: 5100,
        table: 1000,
        mark: 0,
        mask: 0,
        protocol: OURS,
        destination,
        incoming: 'lo',
        other: false,
      };
      await must({ op: 'rule-add', rule });
      assert.deepEqual(
        (await read()).rules.filter((r) => r.family === family && r.priority === 5100),
        [rule],
      );
      assert.equal((await one({ op: 'rule-add', rule })).errno, 'EEXIST');
      await must({ op: 'rule-delete', rule });
      assert.equal((await read()).rules.filter((r) => r.priority === 5100).length, 0);
    });
  }

  for (const family of [4, 6] as const) {
    const [lan, far] = family === 4 ? ['192.168.1.32/28', '203.0.113.0/24'] : ['fd00:1::/64', '2001:db8:77::/48'];
    const base: RuleState = { family, priority: 5200, table: 1000, mark: 0, mask: 0, protocol: OURS, other: false };
    const udp = { ipProtocol: 17, ports: { first: 5060, last: 5070 } };
    const rules: readonly [string, Partial<RuleState>][] = [
      [
        `fwmark 0x1000000/0x7f000000 lookup main suppress_prefixlength 0`,
        { mark: 0x1000000, mask: 0x7f000000, table: 254, suppress: 0 },
      ],
      [`from ${lan} lookup 1000`, { source: lan }],
      [`from ${lan} to ${far} ipproto udp dport 5060-5070 lookup 1000`, { source: lan, destination: far, ...udp }],
      [
        `from ${lan} ipproto tcp dport 443 lookup main suppress_prefixlength 0`,
        { source: lan, table: 254, suppress: 0, ipProtocol: 6, ports: { first: 443, last: 443 } },
      ],
      [`from ${lan} ipproto udp dport 5060-5070 unreachable`, { source: lan, table: 0, action: 'unreachable', ...udp }],
    ];
    test(`chosen traffic by rules, in the words of ip(8): IPv${family}`, async () => {
      for (const [words, change] of rules) {
        const rule: RuleState = { ...base, ...change };
        await must({ op: 'rule-add', rule });
        const seen = (await read()).rules.filter((r) => r.family === family && r.priority === 5200);
        assert.deepEqual(seen, [rule]);
        const said = namespace.ip(`-${family} rule show priority 5200`);
        assert.equal(said.replace(/from all /, '').trim(), `5200:\t${words} proto ${OURS}`);
        assert.equal((await one({ op: 'rule-add', rule })).errno, 'EEXIST');
        await must({ op: 'rule-delete', rule });
        namespace.ip(`-${family} rule add ${words} priority 5200 protocol ${OURS}`);
        assert.deepEqual(
          (await read()).rules.filter((r) => r.family === family && r.priority === 5200),
          [rule],
        );
        await must({ op: 'rule-delete', rule });
        assert.equal((await one({ op: 'rule-delete', rule })).errno, 'ENOENT');
      }
    });
  }

  test('rules with other selectors are never taken for ours', async () => {
    const foreign = [
      'oif eth0 table 1000',
      'not fwmark 0x1 table 1000',
      'ipproto tcp sport 25 table 1000',
      'tos 0x10 table 1000',
      'uidrange 0-9 table 1000',
      'uidrange 0-9 unreachable',
      'table 254 suppress_ifgroup 5',
      'table 1000 realms 5',
      'iif gone0 table 1000',
      'prohibit',
      'blackhole',
      'goto 32766',
      'nop',
    ];
    for (const words of foreign) {
      namespace.ip(`rule add ${words} priority 6000`);
      const [rule] = (await read()).rules.filter((r) => r.priority === 6000);
      assert.equal(rule?.other, true, words);
      assert.equal((await one({ op: 'rule-add', rule })).errno, 'EINVAL');
      namespace.ip('rule del priority 6000');
    }
  });
});
