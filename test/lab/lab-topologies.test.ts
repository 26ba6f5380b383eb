/** What the special topologies and the variants are for is really there: in the kernel, and to the client's packets. Needs root. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Lab, type LabOptions } from '../../src/lab/lab.js';
import { missingRequirement } from '../../src/lab/requirements.js';
import { run } from '../../src/lab/run.js';
import type { TopologyName } from '../../src/lab/topologies.js';
import { startCall } from '../../src/lab/traffic/call.js';
import { forwardPort } from '../../src/lab/traffic/forward.js';
import { until } from '../../src/lab/until.js';

const skip = missingRequirement()?.message ?? false;

function story(name: string, topology: TopologyName, options: LabOptions, tell: (lab: Lab) => Promise<void>): void {
  test(name, { skip, timeout: 60_000 }, async () => {
    const lab = await Lab.create(topology, options);
    try {
      await tell(lab);
    } finally {
      await lab.destroy();
    }
  });
}

interface Link {
  readonly flags: readonly string[];
  readonly operstate: string;
  readonly addr_info: readonly { readonly local: string; readonly address?: string; readonly prefixlen: number }[];
}

async function link(lab: Lab, name: string): Promise<Link | null> {
  const { stdout, code } = await run(['ip', '-n', lab.ns('gateway'), '-j', 'addr', 'show', 'dev', name], { check: false });
  return code === 0 ? ((JSON.parse(stdout) as Link[])[0] ?? null) : null;
}

const addresses = (found: Link | null) => found?.addr_info.map((one) => one.local);

async function nft(lab: Lab, node: string, rules: string): Promise<void> {
  await run(['ip', 'netns', 'exec', lab.ns(node), 'nft', '-f', '-'], { input: rules });
}

const ip = (lab: Lab, node: string, words: string) => run(['ip', '-n', lab.ns(node), ...words.split(' ')]);

/** Whether 200 ms of a call's packets come back to the client. */
async function reaches(lab: Lab, family: 4 | 6): Promise<boolean> {
  const call = await startCall(lab, { family });
  return (await call.stop()).back.received > 0;
}

story(
  'prefixes: 1:1 translated the client is reached and reaches; its own addresses lead nowhere',
  'prefixes',
  {},
  async (lab) => {
    assert.equal(await reaches(lab, 4), true);
    assert.equal(await reaches(lab, 6), false, 'nobody translates');
    const dropped = async () => {
      const { stdout } = await lab.exec('fast-isp', ['nft', '-j', 'list', 'table', 'ip6', 'backroute_lab_sources']);
      return Number(/"packets": (\d+)/.exec(stdout)?.[1]);
    };
    assert.ok((await dropped()) > 0, 'the provider counts foreign sources');

    const prefixes = lab.uplinks.map((uplink) => [uplink.gatewayInterface, uplink.delegated6?.lan] as const);
    assert.deepEqual(prefixes, [
      ['wan1', '2001:db8:1000:1::/64'],
      ['wan2', '2001:db8:1100:1::/64'],
    ]);
    const out = prefixes.map(([wan, lan]) => `oifname ${wan} ip6 saddr fd00:1::/64 snat ip6 prefix to ${lan}`);
    const back = prefixes.map(([wan, lan]) => `iifname ${wan} ip6 daddr ${lan} dnat ip6 prefix to fd00:1::/64`);
    await nft(
      lab,
      'gateway',
      `table ip6 npt {
      chain postrouting { type nat hook postrouting priority 100; ${out.join('; ')}; }
      chain prerouting { type nat hook prerouting priority -100; ${back.join('; ')}; }
    }`,
    );
    const before = await dropped();
    const call = await startCall(lab, { family: 6 });
    const outbound = await call.stop();
    assert.equal(outbound.out.lost + outbound.back.lost, 0, JSON.stringify(outbound.out));
    assert.deepEqual(
      outbound.sources.map(({ address, uplink }) => [address, uplink]),
      [['2001:db8:1000:1::10', 'fast']],
    );
    const inbound = await startCall(lab, await forwardPort(lab, 'fast', { family: 6, port: 4000 }));
    const { out: inwards, back: outwards, strays } = await inbound.stop();
    assert.ok(inwards.received > 0 && inwards.lost + outwards.lost === 0, JSON.stringify({ inwards, outwards }));
    assert.deepEqual(strays, {});
    assert.equal(await dropped(), before);
    // The wrong prefix by the other provider: nothing comes, and it is counted there.
    await ip(lab, 'gateway', 'addr add 2001:db8:1000:1::2/128 dev lo');
    await ip(lab, 'gateway', '-6 route replace default via fe80::1 dev wan2');
    const { stdout: wrong } = await lab.exec('backup-isp', ['nft', 'list', 'table', 'ip6', 'backroute_lab_sources']);
    assert.match(wrong, /packets 0 /);
    const astray = await startCall(lab, { from: 'gateway', family: 6, localAddress: '2001:db8:1000:1::2' });
    assert.equal((await astray.stop()).out.received, 0);
    const { stdout } = await lab.exec('backup-isp', ['nft', 'list', 'table', 'ip6', 'backroute_lab_sources']);
    assert.match(stdout, /packets [1-9]/);
  },
);

story(
  'point-to-point: a TUN device with a peer; it loses its carrier, vanishes and comes back',
  'point-to-point',
  {},
  async (lab) => {
    const modem = await link(lab, 'ppp0');
    assert.ok(modem !== null);
    assert.ok(modem.flags.includes('POINTOPOINT') && modem.flags.includes('NOARP'), JSON.stringify(modem));
    assert.ok(!modem.flags.includes('BROADCAST'));
    assert.equal(modem.addr_info.find((one) => one.local === '212.254.1.2')?.address, '212.254.1.1');
    await ip(lab, 'gateway', 'route replace default dev ppp0');
    await ip(lab, 'gateway', '-6 route replace default dev ppp0');
    for (const family of [4, 6] as const) {
      const call = await startCall(lab, { family });
      const report = await call.stop();
      assert.ok(report.back.received > 0);
      assert.deepEqual([report.sources[0]?.uplink, report.out.lost], ['backup', 0]);
    }
    const inbound = await startCall(lab, await forwardPort(lab, 'backup', { port: 4000 }));
    assert.ok((await inbound.stop()).back.received > 0, 'a forwarded port is reached by the modem');

    const operstate = async () => (await link(lab, 'ppp0'))?.operstate;
    await lab.cut('backup', 'carrier');
    assert.ok(await until(async () => (await operstate()) === 'DOWN', 2000), await operstate());
    await lab.mend('backup');
    assert.ok(
      await until(async () => (await operstate()) === 'UNKNOWN' || (await operstate()) === 'UP', 2000),
      await operstate(),
    );
    assert.equal(await reaches(lab, 4), true);

    await lab.cut('backup', 'gone');
    assert.equal(await link(lab, 'ppp0'), null);
    await lab.mend('backup');
    assert.deepEqual(addresses(await link(lab, 'ppp0')), addresses(modem));
    await ip(lab, 'gateway', 'route replace default dev ppp0');
    assert.equal(await reaches(lab, 4), true);
    await assert.rejects(lab.cut('backup', 'router'), /no router between/);
    await lab.cut('backup', 'unreachable');
    assert.equal(await reaches(lab, 4), false);
    await lab.mend('backup');
    assert.equal(await reaches(lab, 4), true);
  },
);

story('gone: an Ethernet interface vanishes from the gateway and comes back, without its routes', 'two-nic', {}, async (lab) => {
  const before = await link(lab, 'wan1');
  await lab.cut('fast', 'gone');
  await lab.cut('fast', 'gone');
  assert.equal(await link(lab, 'wan1'), null);
  await lab.mend('fast');
  assert.deepEqual(addresses(await link(lab, 'wan1')), addresses(before));
  assert.equal((await ip(lab, 'gateway', 'route show default')).stdout, '');
  await ip(lab, 'gateway', 'route add default via 10.1.0.1');
  assert.equal(await reaches(lab, 4), true);
});

story('same-gateway: each interface has its own 192.168.100.1', 'same-gateway', {}, async (lab) => {
  const hardware = async (wan: string) => {
    const { stdout } = await lab.exec('gateway', ['ip', '-j', 'neigh', 'show', '192.168.100.1', 'dev', wan]);
    return (JSON.parse(stdout) as { lladdr?: string }[])[0]?.lladdr;
  };
  const seen = [];
  for (const [wan, uplink] of [
    ['wan1', 'fast'],
    ['wan2', 'backup'],
  ] as const) {
    await ip(lab, 'gateway', `route replace default via 192.168.100.1 dev ${wan}`);
    const call = await startCall(lab);
    assert.deepEqual((await call.stop()).sources[0]?.uplink, uplink);
    seen.push(await hardware(wan));
  }
  assert.ok(seen[0] !== undefined && seen[1] !== undefined && seen[0] !== seen[1], String(seen));
});

story('masquerade: false leaves the translation to others', 'two-nic', { variant: { masquerade: false } }, async (lab) => {
  assert.equal((await lab.exec('gateway', ['nft', 'list', 'ruleset'])).stdout, '');
  assert.equal(await reaches(lab, 4), false, 'the router does not know the LAN');
  assert.deepEqual((await Lab.open(lab.name, lab.stateDir)).topology, lab.topology, 'whoever opens it knows');
});

story('classic: a forwarded port passes the gateway both ways', 'classic', {}, async (lab) => {
  for (const family of [4, 6] as const) {
    const inbound = await startCall(lab, await forwardPort(lab, 'fast', { port: 4000, family }));
    const { out, back, strays } = await inbound.stop();
    assert.ok(back.received > 0 && out.lost + back.lost === 0, JSON.stringify({ out, back, strays }));
  }
});

const routed = { masquerade: false, routersKnowLan: true } as const;
story('routersKnowLan: it works without any translation in the gateway', 'two-nic', { variant: routed }, async (lab) => {
  assert.deepEqual([await reaches(lab, 4), await reaches(lab, 6)], [true, true]);
});

story(
  'masquerade: true in classic makes both directions pass the gateway',
  'classic',
  { variant: { masquerade: true } },
  async (lab) => {
    const call = await startCall(lab);
    const { stdout } = await lab.exec('gateway', ['ip', '-s', '-j', 'link', 'show', 'dev', 'lan0']);
    const [before] = JSON.parse(stdout) as { stats64: { tx: { packets: number } } }[];
    assert.ok(await until(async () => (await call.report()).back.received >= 50, 5000));
    const { stdout: later } = await lab.exec('gateway', ['ip', '-s', '-j', 'link', 'show', 'dev', 'lan0']);
    const [after] = JSON.parse(later) as { stats64: { tx: { packets: number } } }[];
    const { back, out } = await call.stop();
    assert.equal(back.lost + out.lost, 0);
    const forwarded = (after?.stats64.tx.packets ?? 0) - (before?.stats64.tx.packets ?? 0);
    assert.ok(forwarded > 60, `${forwarded} packets out of the gateway for some 45 each way`);
  },
);

story('bare: the interface is up, and has what is link-local alone', 'two-nic', { variant: { bare: ['wan1'] } }, async (lab) => {
  const wan1 = await link(lab, 'wan1');
  assert.deepEqual(addresses(wan1), ['fe80::2']);
  assert.ok(wan1?.flags.includes('UP'));
  assert.equal((await ip(lab, 'gateway', 'route show default')).stdout, '');
  assert.ok(addresses(await link(lab, 'wan2'))?.includes('10.2.0.2'));
  await assert.rejects(forwardPort(lab, 'fast', { port: 80 }), /no IPv4 address that a router could forward to/);
  await ip(lab, 'gateway', 'addr add 10.1.0.77/24 dev wan1');
  await ip(lab, 'gateway', 'route add default via 10.1.0.1');
  assert.equal(await reaches(lab, 4), true);
  const inbound = await startCall(lab, await forwardPort(lab, 'fast', { port: 80, gatewayAddress: '10.1.0.77' }));
  assert.ok((await inbound.stop()).back.received > 0);
});

test('bare: what is not there is told', { skip }, async () => {
  await assert.rejects(Lab.create('two-nic', { variant: { bare: ['wan7'] } }), /no interface "wan7"/);
  await assert.rejects(Lab.create('classic', { variant: { bare: ['lan0'] } }), /no interface "lan0"/);
});
