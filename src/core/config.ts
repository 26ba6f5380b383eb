/**
 * The validated configuration as the core wants it: every default filled in, every duration in milliseconds.
 * config/ produces it from YAML; nothing here knows the file's syntax.
 */
import type { Family } from './model.js';
import type { ServicesConfig } from './services.js';

/** An address as written, or a name that the daemon keeps resolving. */
export type HostRef =
  | { readonly kind: 'address'; readonly address: string; readonly family: Family }
  | { readonly kind: 'name'; readonly name: string };

/** What is asked of a target. `label` is how the file wrote it, for people. */
export type TargetConfig = { readonly label: string; readonly host: HostRef } & TargetQuestion;

export type TargetQuestion =
  | { readonly kind: 'icmp' }
  | { readonly kind: 'tcp'; readonly port: number }
  | {
      readonly kind: 'http';
      /** absolute URL, http: or https: */
      readonly url: string;
      readonly port: number;
      /** accepted status codes; empty = any 2xx */
      readonly statuses: readonly number[];
      /** the body must contain this text; null = not looked at */
      readonly bodyContains: string | null;
    }
  | { readonly kind: 'dns'; readonly name: string; readonly type: 'A' | 'AAAA' | 'NS' | 'SOA'; readonly port: number };

/** Two bounds for one measure: above `high` it trips, below `low` it clears. */
export interface Hysteresis {
  readonly high: number;
  readonly low: number;
}

export interface ProbeConfig {
  /** time between two probes to one target */
  readonly intervalMs: number;
  /** probes per target in a confirm burst, at least 3 */
  readonly burstCount: number;
  /** time between two probes of a burst to one target */
  readonly burstPaceMs: number;
  /** the adaptive deadline never exceeds this; also the deadline before anything is known of a target */
  readonly timeoutMs: number;
  /** floor of the adaptive deadline above the smoothed RTT (40 ms) */
  readonly deadlineFloorMs: number;
  /** regular samples kept per target for loss, RTT and jitter */
  readonly windowSamples: number;
}

export interface DegradedConfig {
  /** share of lost regular probes, 0..1 */
  readonly loss: Hysteresis | null;
  /** median RTT; null = latency never degrades (our own load must not) */
  readonly rttMs: Hysteresis | null;
  /** jitter (standard deviation of RTT) */
  readonly jitterMs: Hysteresis | null;
  /** `yield`: traffic leaves a degraded uplink for a better one; `keep`: only told */
  readonly policy: 'yield' | 'keep';
}

/** What is learned stays between these. */
export interface LearnedBounds {
  readonly minMs: number;
  readonly maxMs: number;
}

export interface HoldDownConfig {
  /** each repeated failure multiplies recover-after by this */
  readonly factor: number;
  /** never longer than this */
  readonly maxMs: number;
  /** this much good time takes one step back */
  readonly decayMs: number;
}

/** `auto`: the next hop that the system itself knows, by DHCP, router advertisement, PPP or networkd. */
export type GatewayRef = HostRef | { readonly kind: 'auto' };

export interface GatewayConfig {
  readonly family: Family;
  readonly host: GatewayRef;
}

/** An uplink whose bytes cost money. It never shares. */
export interface MeteredConfig {
  /** what probes may cost in a month; they become rarer to keep within it */
  readonly probeBudgetBytes: number;
  /** what everything may cost in a month, by the interface's counters; null = no limit */
  readonly capBytes: number | null;
  /** day of the month on which the count begins anew, 1..28, local time */
  readonly startsOnDay: number;
  /** `disable`: at 100 % it carries nothing any more until the month is over */
  readonly atCap: 'warn' | 'disable';
}

export interface UplinkConfig {
  readonly name: string;
  /** one or two, at most one per family; a name in `gateway` means its IPv4 address, in `gateway6` its IPv6 address */
  readonly gateways: readonly GatewayConfig[];
  /** null: found from the connected network the gateway is in */
  readonly interface: string | null;
  /** empty: the gateway itself is watched */
  readonly targets: readonly TargetConfig[];
  readonly probe: ProbeConfig;
  /** how long a silence is borne before failing over; 0 = as soon as the burst is sure; null = learned from its own silences */
  readonly failAfterMs: number | null;
  /** of a learned patience */
  readonly patienceBounds: LearnedBounds;
  /** how long a recovered uplink must stay good before failback; null = learned from its own recoveries */
  readonly recoverAfterMs: number | null;
  /** of a learned hold-down */
  readonly holdBounds: LearnedBounds;
  /** for a `recoverAfterMs` that is given */
  readonly holdDown: HoldDownConfig;
  /** a second on it while a more preferred uplink works hurts like so much outage, in [0, 1) */
  readonly backupCost: number;
  readonly degraded: DegradedConfig;
  /** number of targets that must be alive for the uplink to be up; 1 = only all-silent takes it down */
  readonly quorum: number;
  /** uplinks of one tier share new connections; null = a tier of its own. Those of one tier stand together in the file */
  readonly tier: number | null;
  /** its share among those of its tier, 1..256 */
  readonly weight: number;
  /** null = its bytes cost nothing */
  readonly metered: MeteredConfig | null;
  /** the provider's IPv6 prefix for the LAN, `address/length`, or `auto`: as delegated; null = the LAN is not translated on it */
  readonly prefix: string | null;
}

/** Chosen traffic by a chosen uplink. Null = any. */
export interface ViaConfig {
  readonly name: string;
  readonly uplink: string;
  /** the families it is for, by its addresses; both where it has none */
  readonly families: readonly Family[];
  /** `address/length` */
  readonly source: string | null;
  /** `address/length` */
  readonly destination: string | null;
  /** empty = any protocol; ports need at least one */
  readonly protocols: readonly ('tcp' | 'udp')[];
  /** destination ports, both included */
  readonly ports: { readonly first: number; readonly last: number } | null;
  /** while its uplink does not work: go like everything else, or be told "unreachable" */
  readonly fallback: 'balance' | 'block';
}

/** What becomes of open connections. */
export interface ConnectionsConfig {
  /** their uplink is lost: `end` them fast, or `keep` them for what they are worth (no NAT anywhere) */
  readonly failover: 'end' | 'keep';
  /** the preferred uplink is back: `drain` = they finish where they are until the deadline; `move` = ended at once; `stay` = no deadline */
  readonly failback: 'drain' | 'move' | 'stay';
  readonly drainMs: number;
  /** destination ports of UDP flows that never end by themselves: they are moved at once even when others drain */
  readonly moveUdpPorts: readonly number[];
  /** `same`: replies leave by the uplink the connection came in by; `active`: by the active one */
  readonly inbound: 'same' | 'active';
}

/** The backup is tried before it is needed. */
export interface DrillConfig {
  readonly everyDays: number;
  /** minutes after midnight, local time */
  readonly atMinute: number;
  /** which are tried, one after the other; empty = every one that is not in use */
  readonly uplinks: readonly string[];
  /** `some`: one of 16 new connections; `all`: all new traffic */
  readonly traffic: 'some' | 'all';
  readonly forMs: number;
}

/** What is kept of outages and measurements: `history.db` in the state directory. */
export interface HistoryConfig {
  /** age at which the figures of single minutes go; outages, switches and events stay for five years */
  readonly keepMs: number;
  /** age at which single samples go */
  readonly rawMs: number;
  /** of the file and what stands beside it; the oldest goes first */
  readonly maxBytes: number;
}

/** The numbers by which our objects in the kernel are known as ours. */
export interface KernelNumbers {
  /** rtm_protocol of our routes */
  readonly protocol: number;
  /** first of {@link OWN_TABLES} routing tables */
  readonly tableBase: number;
  /** first of {@link RULE_PRIORITIES} rule priorities */
  readonly ruleBase: number;
  /** contiguous bits of the firewall mask, at least 7; its top bit tells probes */
  readonly markMask: number;
}

export interface Config {
  /** order = preference */
  readonly uplinks: readonly UplinkConfig[];
  /** one switch hurts like so much outage: the one human knob of what is learned */
  readonly switchCostMs: number;
  /** path of the plain text log, or null */
  readonly log: string | null;
  readonly onStop: 'keep' | 'restore';
  readonly socket: { readonly group: string | null; readonly mode: number };
  readonly kernel: KernelNumbers;
  /** `set`: the sysctls the topology needs are set, remembered and restored by cleanup; `leave`: only doctor speaks of them */
  readonly sysctls: 'set' | 'leave';
  /** in the order in which they are looked at */
  readonly via: readonly ViaConfig[];
  /** null = `off`: no connection is remembered, none is ended */
  readonly connections: ConnectionsConfig | null;
  /** this machine hides the LAN behind its own address on every uplink */
  readonly masquerade: boolean;
  /** the LAN's own IPv6 prefix, `address/length`, translated 1:1 to that of each uplink; null = nothing is */
  readonly lanPrefix: string | null;
  readonly drill: DrillConfig | null;
  /** router advertisements of others on the LAN are noticed and told */
  readonly routerAdvertisements: 'watch' | 'ignore';
  /** who is told, and what follows the way out */
  readonly services: ServicesConfig;
  /** null = `off` */
  readonly history: HistoryConfig | null;
}

/** Slots 0..62: the kernel numbers of one uplink. The mark's low six bits within the mask are slot + 1, its top bit says "probe". */
export const MAX_UPLINKS = 63;
export const MAX_VIA = 64;
/** Rule priorities that are ours, from rule-base: 64 probes, 64 bindings, 2 × 64 flows, 4 × 64 `via`. */
export const RULE_PRIORITIES = 512;
/** The lowest weight of a whole `drill: {traffic: some}`: one new connection of so many goes by the backup. */
export const DRILL_SHARE = 16;

function lowestBit(mask: number): number {
  return Math.log2((mask & -mask) >>> 0);
}

export function probeMark(numbers: KernelNumbers, slot: number): number {
  const top = 31 - Math.clz32(numbers.markMask);
  return ((1 << top) | flowMark(numbers, slot)) >>> 0;
}

/** The mark of a connection that goes by this uplink: like its probes' without the probe bit. */
export function flowMark(numbers: KernelNumbers, slot: number): number {
  return ((slot + 1) << lowestBit(numbers.markMask)) >>> 0;
}

/** The mark of our own packets that conntrack shall not see: the probe bit with slot bits that no uplink has. */
export function untrackedMark(numbers: KernelNumbers): number {
  return (1 << (31 - Math.clz32(numbers.markMask))) >>> 0;
}

/** What its probes look into: its default, and behind it a guard, so that they never take another way. */
export function tableOf(numbers: KernelNumbers, slot: number): number {
  return numbers.tableBase + slot;
}

/** What its open connections look into: its default alone. Without a carrier they fall through to main, even while we are dead. */
export function flowTableOf(numbers: KernelNumbers, slot: number): number {
  return numbers.tableBase + 64 + slot;
}

/** Routing tables that are ours, from table-base. */
export const OWN_TABLES = 128;

export function ownTables(numbers: KernelNumbers): number[] {
  return Array.from({ length: OWN_TABLES }, (_, i) => numbers.tableBase + i);
}

export function rulePriorityOf(numbers: KernelNumbers, slot: number): number {
  return numbers.ruleBase + slot;
}

/** Behind the 64 priorities of the probes' rules. */
export function bindingPriorityOf(numbers: KernelNumbers, slot: number): number {
  return numbers.ruleBase + 64 + slot;
}

/** Two for each uplink: main's specific routes first, then its own table. */
export function flowPriorityOf(numbers: KernelNumbers, slot: number): number {
  return numbers.ruleBase + 128 + 2 * slot;
}

/** Four for each entry of `via`: two for each protocol it names. */
export function viaPriorityOf(numbers: KernelNumbers, index: number): number {
  return numbers.ruleBase + 256 + 4 * index;
}
