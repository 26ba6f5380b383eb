/**
 * Makes the golden files beside this one anew: what the kernel of this machine says of a namespace full of odd routes,
 * rules and addresses. Run as root: `node dist/test/golden/netlink/capture.js test/golden/netlink`; then let biome format
 * them and read the difference of the .json files as carefully as code. Not a test.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as libc from '../../../src/kernel/libc.js';
import * as nl from '../../../src/kernel/netlink/constants.js';
import { encodeNexthopDump } from '../../../src/kernel/netlink/nexthop.js';
import { encodeAddressDump, encodeLinkDump, encodeNeighbourDump, encodeRuleDump } from '../../../src/kernel/netlink/objects.js';
import { encodeRoute, encodeRouteDump } from '../../../src/kernel/netlink/route.js';
import { netlinkAddress, openRouteSocket, SOL_NETLINK } from '../../../src/kernel/netlink/session.js';
import { forEachMessage } from '../../../src/kernel/netlink/wire.js';
import { enterTestNamespace } from '../../lab/kernel-namespace.js';
import { describeDatagrams } from './describe.js';

const SETTINGS = `
addr add 10.9.9.1 peer 10.9.9.2/32 dev eth0
-6 addr add 2001:db8:3::2/64 dev eth0 valid_lft 3000 preferred_lft 1000
route add default via 192.168.1.253 dev eth0 proto static
route append default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.2
route add default via 192.168.1.3 dev eth0 metric 100 proto 177 mtu 1400 advmss 1360
route add default via 10.1.0.1 dev eth0.5 metric 200 onlink
route add default tos 0x10 via 10.1.0.7 dev eth0.5
route add default metric 300 nexthop via 192.168.1.1 dev eth0 weight 3 nexthop via 10.1.0.1 dev eth0.5 onlink weight 1
nexthop add id 7 via 10.1.0.9 dev eth0.5
nexthop add id 8 via 192.168.1.9 dev eth0
nexthop add id 9 group 7,5/8,2
nexthop add id 10 group 7
nexthop add id 11 blackhole
nexthop add id 12 dev eth0
route add default metric 400 nhid 7
route add default metric 401 nhid 9
route add default metric 402 nhid 10
route add default metric 403 nhid 11
-4 route add default via inet6 fe80::9 dev eth0 metric 500
-4 route add default metric 502 nexthop via inet6 fe80::9 dev eth0 nexthop via inet6 fe80::a dev eth0.5
route add default metric 501 dev eth0.5 scope link
route add default metric 503 nexthop via 192.168.1.1 dev eth0 weight 3 realm 5 nexthop via 10.1.0.1 dev eth0.5
route add 172.16.0.0/12 via 192.168.1.77
route add 172.31.0.0/16 dev eth0 scope link
route add default table 1000 via 192.168.1.1 dev eth0 proto 177
route add unreachable default table 1000 metric 4294967295 proto 177
route add blackhole 10.66.0.0/16 table 1000
route add prohibit 10.67.0.0/16 table 1000
route add throw 10.68.0.0/16 table 1000
-6 route add default via fe80::1 dev eth0 metric 1 proto 177
-6 route add default via fe80::2 dev eth0 proto ra expires 1800 pref high
-6 route add default metric 2048 nexthop via fe80::3 dev eth0 weight 2 nexthop via fe80::4 dev eth0.5
-6 route add default via 2001:db8:1::77 dev eth0 metric 300 onlink src 2001:db8:1::2
-6 route add default from 2001:db8:9::/48 via fe80::5 dev eth0.5 metric 50
-6 route add 2001:db8:8::/48 via fe80::5 dev eth0.5
-6 nexthop add id 60 via fe80::6 dev eth0
-6 route add default metric 600 nhid 60
-6 route add unreachable default table 1000 metric 4294967295 proto 177
-6 route add default via fe80::1 dev eth0 table 1000 mtu 1280
rule add fwmark 0x41/0x7f table 1000 priority 5000 protocol 177
rule add from 10.0.0.0/8 table 1000 priority 5001
rule add iif eth0 table 1000 priority 5002
rule add table main suppress_prefixlength 0 priority 5003
rule add ipproto tcp dport 25 table 1000 priority 5004
rule add not fwmark 0x1 table 1000 priority 5005
rule add uidrange 0-10 unreachable priority 5006
rule add from 192.168.1.32/28 to 203.0.113.0/24 ipproto udp dport 5060-5070 table main suppress_prefixlength 0 priority 5007 protocol 177
rule add from 192.168.1.32/28 to 203.0.113.0/24 ipproto udp dport 5060-5070 unreachable priority 5008 protocol 177
rule add fwmark 0x1000000/0x7f000000 table main suppress_prefixlength 0 priority 5009 protocol 177
rule add ipproto tcp sport 25 table 1000 priority 5010
rule add table main suppress_ifgroup 5 priority 5011
rule add prohibit priority 5012
-6 rule add fwmark 0x41/0x7f table 1000 priority 5000 protocol 177
-6 rule add tos 0x10 table 1000 priority 5001
-6 rule add from fd00:1::/64 to 2001:db8:77::/48 ipproto tcp dport 443 table main suppress_prefixlength 0 priority 5007 protocol 177
-6 rule add from fd00:1::/64 unreachable priority 5008 protocol 177
link property add dev eth0 altname fibre altname wan-one
link set eth0.5 alias cable
neigh add 192.168.1.1 lladdr 02:00:00:00:00:01 dev eth0
neigh add 192.168.1.253 lladdr 02:00:00:00:00:02 dev eth0 nud stale
neigh add proxy 192.168.1.99 dev eth0
-6 neigh add fe80::1 lladdr 02:00:00:00:00:03 dev eth0 nud reachable
`;

/** What is done while a subscribed socket listens. */
const EVENTS = `
link set eth0.5 mtu 1400
addr add 192.0.2.1/32 dev lo
route replace default via 192.168.1.9 dev eth0
route add 203.0.113.0/24 via 192.168.1.1
route add 203.0.114.0/24 via 192.168.1.1 table 1000
-6 route del default metric 1
rule del priority 5000
neigh change 192.168.1.253 dev eth0 nud failed
nexthop replace id 7 via 10.1.0.10 dev eth0.5
nexthop del id 8
`;

const directory = process.argv[2];
if (directory === undefined) throw new Error('give the directory of the golden files');
const namespace = enterTestNamespace();
const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '');

function openSession(): number {
  const fd = openRouteSocket();
  libc.bind(fd, netlinkAddress());
  for (const option of [10, 11, 12]) libc.setsockoptInt(fd, SOL_NETLINK, option, 1);
  return fd;
}

/** Sends one request and keeps what comes back, datagram by datagram. */
function exchange(request: Buffer): Buffer[] {
  const fd = openSession();
  libc.send(fd, request);
  const datagrams: Buffer[] = [];
  for (let done = false; !done; ) {
    const buffer = Buffer.alloc(65536);
    const datagram = buffer.subarray(0, libc.recv(fd, buffer) ?? 0);
    datagrams.push(datagram);
    forEachMessage(datagram, (message) => {
      if (message.type === nl.NLMSG_DONE || message.type === nl.NLMSG_ERROR) done = true;
    });
  }
  libc.close(fd);
  return datagrams;
}

function write(name: string, datagrams: readonly Buffer[]): void {
  writeFileSync(join(String(directory), `${name}.hex`), `${datagrams.map((bytes) => bytes.toString('hex')).join('\n')}\n`);
  writeFileSync(join(String(directory), `${name}.json`), `${JSON.stringify(describeDatagrams(datagrams), null, 2)}\n`);
}

for (const words of lines(SETTINGS)) namespace.ip(words);
const DUMP = nl.NLM_F_REQUEST | nl.NLM_F_DUMP;
const CREATE = nl.NLM_F_REQUEST | nl.NLM_F_ACK | nl.NLM_F_CREATE | nl.NLM_F_EXCL;
// Routes by nexthop object, which this kernel now leaves to the reader.
writeFileSync('/proc/sys/net/ipv4/nexthop_compat_mode', '0');
write('nexthops', exchange(encodeNexthopDump(1, DUMP)));
write('routes4-objects', exchange(encodeRouteDump(1, DUMP, 4, 254)));
write('routes6-objects', exchange(encodeRouteDump(1, DUMP, 6, 254)));
writeFileSync('/proc/sys/net/ipv4/nexthop_compat_mode', '1');
write('links', exchange(encodeLinkDump(1, DUMP)));
write('addresses', exchange(encodeAddressDump(1, DUMP)));
for (const family of [4, 6] as const) {
  write(`routes${family}-main`, exchange(encodeRouteDump(1, DUMP, family, 254)));
  write(`routes${family}-1000`, exchange(encodeRouteDump(1, DUMP, family, 1000)));
  write(`rules${family}`, exchange(encodeRuleDump(1, DUMP, family)));
  write(`neighbours${family}`, exchange(encodeNeighbourDump(1, DUMP, family)));
}
const refused = {
  family: 4,
  table: 254,
  destination: 'default',
  type: 'unicast',
  protocol: 177,
  metric: 9,
  tos: 0,
  scope: 0,
  prefsrc: null,
  nexthops: [{ ifindex: 10, gateway: '203.0.113.1', onlink: false }],
  expires: false,
  rest: '',
} as const;
write('status', [
  ...exchange(encodeRoute(nl.RTM_NEWROUTE, CREATE, 5, refused)),
  ...exchange(
    encodeRoute(nl.RTM_NEWROUTE, CREATE, 6, { ...refused, nexthops: [{ ifindex: 10, gateway: '192.168.1.1', onlink: false }] }),
  ),
  ...exchange(encodeRouteDump(7, DUMP, 4, 4444)),
]);

const listener = openRouteSocket(libc.SOCK_NONBLOCK);
libc.bind(listener, netlinkAddress());
for (const group of Object.values(nl.RTNLGRP)) libc.setsockoptInt(listener, SOL_NETLINK, 1, group);
const heard: Buffer[] = [];
for (const words of lines(EVENTS)) namespace.ip(words);
for (;;) {
  const buffer = Buffer.alloc(65536);
  const length = libc.recv(listener, buffer);
  if (length === null) break;
  heard.push(buffer.subarray(0, length));
}
write('events', heard);
