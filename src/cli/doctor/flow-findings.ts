/** The doctor's look at open connections: what keeps them from being remembered, shared, ended or translated. Pure. */
import { sharesWith } from '../../config/between.js';
import type { Family } from '../../core/model.js';
import type { Facts, Finding } from './facts.js';
import { finding, ownInterfaces, remembers, sharedInterfaces, sysctlFinding, whenDaemonSets } from './finding.js';

const FAMILIES: readonly Family[] = [4, 6];
const CONNTRACK_COUNT = 'net/netfilter/nf_conntrack_count';
const CONNTRACK_MAX = 'net/netfilter/nf_conntrack_max';
/** Share of the table from which the next rush may fill it. */
const NEARLY_FULL = 0.8;

/** The sysctls that these checks look at. */
export const FLOW_SYSCTLS: readonly string[] = [CONNTRACK_COUNT, CONNTRACK_MAX, ...FAMILIES.map(hashPolicy)];

export function flowFindings(facts: Facts): Finding[] {
  return [
    ...nftMissing(facts),
    ...halfSeen(facts),
    ...flowtables(facts),
    ...nftMarks(facts),
    ...conntrackFull(facts),
    ...hashPolicies(facts),
  ];
}

/** All that the daemon does with nftables, in one finding. */
function nftMissing(facts: Facts): Finding[] {
  const { config, tools } = facts;
  if (tools.nft) return [];
  const remedy = 'apt-get install nftables';
  const missed = [
    remembers(facts) ? ['open connections are neither remembered nor ended'] : [],
    config?.masquerade === true ? ['the network is not hidden (masquerade)'] : [],
    config !== null && config.lanPrefix !== null && config.uplinks.some(({ prefix }) => prefix !== null)
      ? ['no prefix is translated']
      : [],
    sharedInterfaces(facts, 6).length > 0 ? ['IPv6 clients are redirected to the routers: there is no sysctl against it'] : [],
  ].flat();
  if (missed.length > 0) return [finding('nft-missing', 'problem', 'nft is not installed', missed.join('; '), remedy)];
  if (facts.legacyNat || ownInterfaces(facts, 4).length < 2) return [];
  return [finding('nft-missing', 'advice', 'nft is not installed', 'it cannot be told whether NAT is set up', remedy)];
}

function halfSeen(facts: Facts): Finding[] {
  const { config } = facts;
  const names = [...new Set(FAMILIES.flatMap((family) => sharedInterfaces(facts, family)))];
  if (config === null || config.connections === null || config.masquerade || names.length === 0) return [];
  const what = `this machine sees half of each connection by ${names.join(', ')}: they are not remembered`;
  const why =
    'the routers answer the clients directly; after a switch an open connection goes on by the new uplink and breaks there, or hangs until somebody gives up';
  const remedy =
    'masquerade: true in the config makes it whole (the price: answers pass through this machine too, and the routers see one client alone); connections: off says that it shall stay so';
  return [finding('half-seen', 'advice', what, why, remedy)];
}

function flowtables(facts: Facts): Finding[] {
  const level = remembers(facts) ? 'problem' : 'advice';
  const why =
    'open connections bypass rules, marks and routes: after a switch they go on through the dead uplink, and none is drained';
  return (facts.ruleset?.flowtables ?? []).map((name) =>
    finding('flowtable', level, `nftables offloads flows (flowtable ${name})`, why, `nft delete flowtable ${name}`),
  );
}

/** Rules of others that write our bits. Those that only look at them do no harm. */
function nftMarks(facts: Facts): Finding[] {
  const mask = facts.config?.kernel.markMask ?? 0;
  return (facts.ruleset?.marks ?? []).flatMap(({ chain, of, bits, written }) => {
    const set = (bits & mask) >>> 0;
    const cleared = (written & mask & ~bits) >>> 0;
    const statement = `a rule of nftables in ${chain} sets the ${of === 'ct' ? "connection's mark" : 'mark'} to ${hex(bits)}`;
    const other = 'or choose other bits for us in the config: kernel: mark-mask:';
    if (set !== 0) {
      const why = 'what it marks is taken for a probe or a connection of an uplink, and goes by that one';
      const what = `${statement}, which has bits of ours (${hex(mask)})`;
      return [finding('mark-conflict', 'problem', what, why, `nft -a list chain ${chain}; let it use other bits, ${other}`)];
    }
    // A packet's mark is put back from the connection's: only the latter is a memory that can be lost.
    if (of !== 'ct' || cleared === 0 || !remembers(facts)) return [];
    const what = `${statement} and takes ours (${hex(mask)}) away`;
    const why = 'the uplinks of the connections that it matches are forgotten: a switch breaks them';
    const masked = `ct mark set ct mark and ${hex(~written | mask)} or ${hex(bits)}`;
    return [finding('mark-overwritten', 'problem', what, why, `nft -a list chain ${chain}; write it as: ${masked}`)];
  });
}

function hex(value: number): string {
  return `0x${(value >>> 0).toString(16)}`;
}

function conntrackFull({ kernel }: Facts): Finding[] {
  const [count, max] = [CONNTRACK_COUNT, CONNTRACK_MAX].map((key) => Number(kernel.sysctls[key] ?? Number.NaN));
  if (count === undefined || max === undefined || !(max > 0) || !(count >= NEARLY_FULL * max)) return [];
  const what = `the table of connections is nearly full: ${count} of ${max}`;
  const why = 'when it is full, every new connection is dropped, whatever the uplinks do';
  return [sysctlFinding('conntrack-full', 'problem', what, why, [[CONNTRACK_MAX, String(2 * max)]])];
}

function hashPolicies(facts: Facts): Finding[] {
  const { config, kernel } = facts;
  if (config === null) return [];
  return FAMILIES.flatMap((family) => {
    const has = (uplink: (typeof config.uplinks)[number]): boolean => uplink.gateways.some((one) => one.family === family);
    const shared = config.uplinks.some((uplink) => has(uplink) && sharesWith(uplink, config.uplinks).some(has));
    const value = kernel.sysctls[hashPolicy(family)] ?? null;
    if (!shared || value === null || value === '1') return [];
    const what = `IPv${family} connections are shared out by hosts, not by connections (fib_multipath_hash_policy is ${value})`;
    const why = 'all that goes from one client to one server takes the same uplink, however many connections it is';
    return [sysctlFinding('hash-policy', whenDaemonSets(facts), what, why, [[hashPolicy(family), '1']])];
  });
}

function hashPolicy(family: Family): string {
  return `net/ipv${family}/fib_multipath_hash_policy`;
}
