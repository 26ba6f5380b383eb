/**
 * A gateway with two ways out for the flow tests: this process is the gateway, a LAN host and the far side live in namespaces beside
 * it. Our nftables table is written by hand, as small as the tests need it, but for what resets the dead. Root; vanishes with the process.
 */
import { type ChildProcessByStdio, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { KernelNumbers } from '../../src/core/config.js';
import type { FlowSelector } from '../../src/core/flow.js';
import type { Family } from '../../src/core/model.js';
import { IN_TABLE } from '../../src/kernel/nft/expressions.js';
import { flowChains } from '../../src/kernel/nft/flows.js';
import type { PeerNews, PeerOrder } from './flow-peer.js';
import { enterOwnNetwork, ip, NeighbourNetwork, setSysctl } from './own-network.js';

export const NUMBERS: KernelNumbers = { protocol: 110, tableBase: 7100, ruleBase: 700, markMask: 0x7f000000 };
export const MASK = NUMBERS.markMask;
export const WAN1 = 0x01000000;
export const WAN2 = 0x02000000;
/** what leads by the first uplink whatever is active */
export const PROBE1 = 0x41000000;
const UNTRACKED = 0x40000000;

/** Addresses by family: the far side's server, the LAN host, and ours on the first uplink. */
export const FAR: Readonly<Record<Family, string>> = { 4: '203.0.113.1', 6: '2001:db8:99::1' };
export const LAN_HOST: Readonly<Record<Family, string>> = { 4: '192.168.77.10', 6: '2001:db8:77::10' };
export const OUR_WAN1: Readonly<Record<Family, string>> = { 4: '10.9.1.2', 6: '2001:db8:1::2' };

export function selector(family: Family, mark: number, udpPorts: readonly number[] | null = null): FlowSelector {
  return { family, mark, mask: MASK, udpPorts };
}

/** One host's process; see flow-peer.ts for what it can be told. */
export class Peer {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #news: PeerNews[] = [];
  readonly #waiting = new Set<() => void>();

  constructor(network: NeighbourNetwork | null) {
    const program = [process.execPath, fileURLToPath(new URL('./flow-peer.js', import.meta.url)), 'peer'];
    const argv = network === null ? program : ['nsenter', '-t', String(network.pid), '-n', ...program];
    this.#child = spawn(argv[0] ?? '', argv.slice(1), { stdio: ['pipe', 'pipe', 'inherit'] });
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      this.#news.push(JSON.parse(line) as PeerNews);
      for (const wake of [...this.#waiting]) wake();
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  order(order: PeerOrder): void {
    this.#child.stdin.write(`${JSON.stringify(order)}\n`);
  }

  /** The first news of this kind that `is` likes; null when there is none in time. It is taken out. */
  async hear<K extends PeerNews['news']>(
    kind: K,
    is: (news: Extract<PeerNews, { news: K }>) => boolean = () => true,
    withinMs = 5000,
  ): Promise<Extract<PeerNews, { news: K }> | null> {
    const deadline = performance.now() + withinMs;
    for (;;) {
      const at = this.#news.findIndex((one) => one.news === kind && is(one as Extract<PeerNews, { news: K }>));
      if (at >= 0) return this.#news.splice(at, 1)[0] as Extract<PeerNews, { news: K }>;
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) return null;
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          clearTimeout(timer);
          this.#waiting.delete(wake);
          resolve();
        };
        const timer = setTimeout(wake, leftMs);
        this.#waiting.add(wake);
      });
    }
  }

  async listen(host: string, port: number, kind: 'source' | 'sink' | 'echo'): Promise<void> {
    this.order({ do: 'listen', host, port, kind });
    if ((await this.hear('listening', (news) => news.port === port)) === null) throw new Error(`nobody listens on ${port}`);
  }

  /** @param from the port that it is to have on this side; any where it is left out */
  async connect(id: string, host: string, port: number, kind: 'mute' | 'chatter' | 'counted', from?: number): Promise<void> {
    this.order({ do: 'connect', id, host, port, kind, ...(from === undefined ? {} : { from }) });
    if ((await this.hear('connected', (news) => news.id === id)) === null)
      throw new Error(`${id}: no connection to ${host}:${port}`);
  }

  /** Milliseconds from this moment (process.hrtime) until the connection ended; null when it has not within the time. */
  async endedAfter(id: string, sinceMs: number, withinMs: number): Promise<{ ms: number; errno: string | null } | null> {
    const news = await this.hear('closed', (one) => one.id === id, withinMs);
    return news === null ? null : { ms: news.atMs - sinceMs, errno: news.errno };
  }

  async tell(id: string): Promise<{ received: number; wrong: number; open: boolean }> {
    this.order({ do: 'tell', id });
    const told = await this.hear('told', (news) => news.id === id);
    if (told === null) throw new Error(`${id}: no answer`);
    return told;
  }

  async close(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.stdin.end();
    await ended;
  }
}

/** Monotonic, as flow-peer.ts has it. */
export const nowMs = (): number => Number(process.hrtime.bigint()) / 1e6;

export interface FlowBench {
  readonly lan: Peer;
  readonly far: Peer;
  readonly lanNetwork: NeighbourNetwork;
  readonly farNetwork: NeighbourNetwork;
  close(): Promise<void>;
}

/** LAN host — this process (wan1, wan2) — far side. Both families; IPv4 is hidden on wan1 when asked. */
export async function openFlowBench({ masquerade }: { readonly masquerade: boolean }): Promise<FlowBench> {
  enterOwnNetwork();
  const [lanNetwork, farNetwork] = await Promise.all([NeighbourNetwork.create(), NeighbourNetwork.create()]);
  setSysctl('net.ipv4.ip_forward', '1');
  setSysctl('net.ipv6.conf.all.forwarding', '1');
  // Indexes of its own for each end: with equal ones the kernel rations carrier events.
  ip(`link add lan index 50 type veth peer name home index 150 netns ${lanNetwork.pid}`);
  ip(`link add wan1 index 51 type veth peer name f1 index 151 netns ${farNetwork.pid}`);
  ip(`link add wan2 index 52 type veth peer name f2 index 152 netns ${farNetwork.pid}`);
  for (const [name, four, six] of [
    ['lan', '192.168.77.1/24', '2001:db8:77::1/64'],
    ['wan1', '10.9.1.2/24', '2001:db8:1::2/64'],
    ['wan2', '10.9.2.2/24', '2001:db8:2::2/64'],
  ] as const) {
    ip(`link set ${name} up`);
    ip(`addr add ${four} dev ${name}`);
    ip(`-6 addr add ${six} dev ${name} nodad`);
  }
  const inside = (network: NeighbourNetwork, commands: readonly string[]): void => {
    for (const command of commands) network.run(command);
  };
  inside(lanNetwork, [
    'ip link set lo up',
    'ip link set home up',
    'ip addr add 192.168.77.10/24 dev home',
    'ip -6 addr add 2001:db8:77::10/64 dev home nodad',
    'ip route add default via 192.168.77.1',
    'ip -6 route add default via 2001:db8:77::1',
  ]);
  inside(farNetwork, [
    'ip link set lo up',
    'ip addr add 203.0.113.1/32 dev lo',
    'ip -6 addr add 2001:db8:99::1/128 dev lo nodad',
    'ip link set f1 up',
    'ip link set f2 up',
    'ip addr add 10.9.1.1/24 dev f1',
    'ip addr add 10.9.2.1/24 dev f2',
    'ip -6 addr add 2001:db8:1::1/64 dev f1 nodad',
    'ip -6 addr add 2001:db8:2::1/64 dev f2 nodad',
  ]);
  for (const [family, first, second] of [
    ['-4', '10.9.1.1', '10.9.2.1'],
    ['-6', '2001:db8:1::1', '2001:db8:2::1'],
  ] as const) {
    ip(`${family} route add default via ${first} dev wan1 table 7100`);
    ip(`${family} route add default via ${second} dev wan2 table 7101`);
    ip(`${family} rule add fwmark ${PROBE1}/${MASK} lookup 7100 priority 700`);
    ip(`${family} rule add fwmark ${WAN2}/${MASK} lookup 7101 priority 830`);
  }
  go('wan1');
  farReturns(farNetwork, 1);
  writeTable(masquerade);
  const [lan, far] = [new Peer(lanNetwork), new Peer(farNetwork)];
  await Promise.all([lan.hear('ready'), far.hear('ready')]);
  return {
    lan,
    far,
    lanNetwork,
    farNetwork,
    async close() {
      await Promise.all([lan.close(), far.close()]);
      await Promise.all([lanNetwork.close(), farNetwork.close()]);
    },
  };
}

/** The default routes of this machine. */
export function go(by: 'wan1' | 'wan2'): void {
  const slot = by === 'wan1' ? 1 : 2;
  ip(`route replace default via 10.9.${slot}.1 dev ${by}`);
  ip(`-6 route replace default via 2001:db8:${slot}::1 dev ${by}`);
}

/** By which way the far side answers the LAN, where it is not hidden. */
export function farReturns(far: NeighbourNetwork, slot: 1 | 2): void {
  far.run(`ip route replace 192.168.77.0/24 via 10.9.${slot}.2`);
  far.run(`ip -6 route replace 2001:db8:77::/64 via 2001:db8:${slot}::2`);
}

/** The first uplink falls silent; its carrier stays. */
export function silence(far: NeighbourNetwork, silent: boolean): void {
  const script = ['add table inet cut', 'delete table inet cut', ...(silent ? SILENCE : [])].join('\n');
  execFileSync('nsenter', ['-t', String(far.pid), '-n', 'nft', script]);
}

const SILENCE = [
  'add table inet cut',
  'add chain inet cut pre { type filter hook prerouting priority -400; }',
  'add chain inet cut post { type filter hook postrouting priority 400; }',
  'add rule inet cut pre iifname f1 drop',
  'add rule inet cut post oifname f1 drop',
];

export function nft(...words: readonly string[]): string {
  return execFileSync('nft', words, { encoding: 'utf8', maxBuffer: 64 << 20 });
}

/**
 * Marks by way out where nothing of ours stands yet, with a foreign bit on every connection; keeps marked connections on their way;
 * resets the dead; hides IPv4 where asked; forwards port 8080 of the first uplink to the LAN host.
 */
export function writeTable(masquerade: boolean): void {
  const ours = '0x7f000000';
  const rest = '0x80ffffff';
  const mark = (slot: 1 | 2): string => `ct mark set ct mark and ${rest} or 0x0${slot}000000`;
  nft(`table inet backroute
delete table inet backroute
table inet backroute {
  set dead4 { type ipv4_addr . inet_service . ipv4_addr . inet_service; flags timeout; }
  set dead6 { type ipv6_addr . inet_service . ipv6_addr . inet_service; flags timeout; }
  chain raw-output { type filter hook output priority -300; meta mark and ${ours} == 0x40000000 counter notrack; }
  chain prerouting { type filter hook prerouting priority -150;
    ct mark and 0x00000042 == 0 ct mark set ct mark or 0x00000042
    iifname wan1 ct direction original ct mark and ${ours} == 0 ${mark(1)}
    iifname wan2 ct direction original ct mark and ${ours} == 0 ${mark(2)}
    iifname lan ct mark and ${ours} == 0x02000000 meta mark set meta mark and ${rest} or 0x02000000
  }
  chain postrouting { type filter hook postrouting priority -150;
    oifname wan1 ct mark and ${ours} == 0 ${mark(1)}
    oifname wan2 ct mark and ${ours} == 0 ${mark(2)}
  }
  chain dstnat { type nat hook prerouting priority -100; iifname wan1 tcp dport 8080 dnat ip to 192.168.77.10:80; }
  ${masquerade ? 'chain srcnat { type nat hook postrouting priority 100; meta nfproto ipv4 oifname { wan1, wan2 } masquerade; }' : ''}
}`);
  const chains = flowChains({ mask: MASK, untrackedMark: UNTRACKED, ways: [], inbound: true, resetAstray: true }).filter(
    ({ name }) => name === 'dead',
  );
  const commands = chains.flatMap(({ name, hook, rules }) => [
    { add: { chain: { ...IN_TABLE, name, ...hook } } },
    ...rules.map((expr) => ({ add: { rule: { ...IN_TABLE, chain: name, expr } } })),
  ]);
  nft('-j', JSON.stringify({ nftables: commands }));
}
