/** The topologies as data hold together, and become commands that the kernel can take. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cableCommands, linkEnds, namespacesOf, nodeScript, SWITCH, switchPorts } from '../../../src/lab/plan.js';
import { MAILBOX4, topologies } from '../../../src/lab/topologies.js';

for (const topology of Object.values(topologies)) {
  const namespaces = namespacesOf(topology, 'br-x');

  test(`${topology.name}: every interface is at the end of exactly one cable or link`, () => {
    const cabled = cableCommands(topology, namespaces).flatMap((line) => {
      const ends = line.matchAll(/name (\S+) index \d+ netns (\S+)/g);
      return [...ends].map(([, name, namespace]) => `${namespace} ${name}`);
    });
    const emulated = linkEnds(topology).flatMap(({ a, b }) => [a, b].map((end) => `${namespaces[end.node]} ${end.device}`));
    const wanted = Object.entries(topology.nodes).flatMap(([node, spec]) =>
      spec.interfaces.map((one) => `${namespaces[node]} ${one.name}`),
    );
    const ports = switchPorts(topology).map(({ port }) => `${namespaces[SWITCH]} ${port}`);
    assert.deepEqual([...cabled, ...emulated].sort(), [...wanted, ...ports].sort());
  });

  test(`${topology.name}: indexes are distinct and names fit (IFNAMSIZ)`, () => {
    const lines = cableCommands(topology, namespaces);
    const indexes = lines.flatMap((line) => [...line.matchAll(/index (\d+)/g)].map(([, index]) => index));
    assert.equal(indexes.length, 2 * lines.length);
    assert.equal(new Set(indexes).size, indexes.length);
    for (const [, name = ''] of lines.join('\n').matchAll(/name (\S+)/g)) assert.ok(name.length <= 15, name);
  });

  test(`${topology.name}: no address is given twice, but link-local ones`, () => {
    const addresses = Object.values(topology.nodes).flatMap((node) => [
      ...node.loopback,
      ...node.interfaces.flatMap((one) => one.addresses),
    ]);
    // That the routers of `same-gateway` are both 192.168.100.1 is what it is for.
    const twice = topology.name === 'same-gateway' ? ['192.168.100.1/24'] : [];
    const global = addresses.filter((address) => !address.startsWith('fe80:') && !twice.includes(address));
    assert.deepEqual(global.toSorted(), [...new Set(global)].sort());
    for (const bridge of topology.bridges) {
      const onBridge = Object.values(topology.nodes).flatMap((node) => node.interfaces.filter((one) => one.segment === bridge));
      const local = onBridge.flatMap((one) => one.addresses.filter((address) => address.startsWith('fe80:')));
      assert.equal(new Set(local).size, onBridge.length, `${bridge}: ${local}`);
    }
  });

  test(`${topology.name}: every node has a script, and what an uplink says of itself is there`, () => {
    for (const node of Object.keys(namespaces)) assert.ok(nodeScript(topology, node).includes('ip -batch'));
    for (const uplink of topology.uplinks) {
      const router = nodeScript(topology, uplink.router);
      const own4 = uplink.pointToPoint ? `${uplink.gateway4} peer ${uplink.public4}/32` : `${uplink.gateway4}/24`;
      assert.ok(router.includes(own4) && router.includes(`${uplink.gateway6}/64`), router);
      const translator = uplink.pointToPoint ? nodeScript(topology, 'gateway') : router;
      assert.ok(translator.includes('masquerade') && translator.includes(uplink.public4), translator);
      const isp = nodeScript(topology, uplink.isp);
      for (const address of [uplink.upstream4, uplink.upstream6, uplink.privateTarget4, uplink.privateTarget6]) {
        assert.ok(isp.includes(`addr add ${address}/`) || isp.includes(`addr add ${address} peer `), address);
      }
      assert.ok(nodeScript(topology, 'gateway').includes(`dev ${uplink.gatewayInterface}`));
    }
  });
}

test('the default route leads to the fast router at first, marked static', () => {
  assert.match(nodeScript(topologies.classic, 'gateway'), /route add default via 192\.168\.1\.253 dev lan0 proto static/);
  assert.match(nodeScript(topologies.classic, 'gateway'), /route add default via fe80::253 dev lan0 proto static/);
});

test('the gateway does the NAT where it owns the WAN interfaces, never in classic', () => {
  assert.doesNotMatch(nodeScript(topologies.classic, 'gateway'), /masquerade/);
  assert.match(nodeScript(topologies['two-nic'], 'gateway'), /oifname \{ "wan1", "wan2" \} masquerade/);
  assert.match(nodeScript(topologies['three-uplinks'], 'gateway'), /oifname \{ "wan1", "wan2", "wan3" \} masquerade/);
});

test('an office has a mail server at each provider and knows the way to it; the administrator has a mailbox beyond', () => {
  for (const uplink of topologies.office.uplinks) {
    assert.ok(nodeScript(topologies.office, uplink.isp).includes(`addr add ${uplink.smarthost4}/32 dev lo`));
    assert.match(
      nodeScript(topologies.office, 'internet'),
      new RegExp(`route add ${uplink.smarthost4}/32 via .* dev ${uplink.isp}$`, 'm'),
    );
  }
  assert.ok(nodeScript(topologies.office, 'internet').includes(`addr add ${MAILBOX4}/32 dev lo`));
});
