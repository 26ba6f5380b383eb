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

export interface HoldDownConfig {
  /** each repeated failure multiplies recover-after by this */
  readonly factor: number;
  /** never longer than this */
  readonly maxMs: number;
  /** this much good time takes one step back */
  readonly decayMs: number;
}

export interface GatewayConfig {
  readonly family: Family;
  readonly host: HostRef;
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
  /** how long a silence is borne before failing over; 0 = as soon as the burst is sure */
  readonly failAfterMs: number;
  /** how long a recovered uplink must stay good before failback */
  readonly recoverAfterMs: number;
  readonly holdDown: HoldDownConfig;
  readonly degraded: DegradedConfig;
  /** number of targets that must be alive for the uplink to be up; 1 = only all-silent takes it down */
  readonly quorum: number;
}

/** The numbers by which our objects in the kernel are known as ours. */
export interface KernelNumbers {
  /** rtm_protocol of our routes */
  readonly protocol: number;
  /** first of 64 routing tables */
  readonly tableBase: number;
  /** first of 128 rule priorities: 64 for probe marks, 64 for destinations bound to an uplink */
  readonly ruleBase: number;
  /** contiguous bits of the firewall mask, at least 7; its top bit tells probes */
  readonly markMask: number;
}

export interface Config {
  /** order = preference */
  readonly uplinks: readonly UplinkConfig[];
  /** path of the plain text log, or null */
  readonly log: string | null;
  readonly onStop: 'keep' | 'restore';
  readonly socket: { readonly group: string | null; readonly mode: number };
  readonly kernel: KernelNumbers;
  /** `set`: the sysctls the topology needs are set, remembered and restored by cleanup; `leave`: only doctor speaks of them */
  readonly sysctls: 'set' | 'leave';
  /** who is told, and what follows the way out */
  readonly services: ServicesConfig;
}

/** Slots 0..62: the kernel numbers of one uplink. The mark's low six bits within the mask are slot + 1, its top bit says "probe". */
export const MAX_UPLINKS = 63;

export function probeMark(numbers: KernelNumbers, slot: number): number {
  const shift = Math.log2((numbers.markMask & -numbers.markMask) >>> 0);
  const top = 31 - Math.clz32(numbers.markMask);
  return ((1 << top) | ((slot + 1) << shift)) >>> 0;
}

export function tableOf(numbers: KernelNumbers, slot: number): number {
  return numbers.tableBase + slot;
}

/** Behind the 64 priorities of the probes' rules. */
export function bindingPriorityOf(numbers: KernelNumbers, slot: number): number {
  return numbers.ruleBase + MAX_UPLINKS + 1 + slot;
}

export function rulePriorityOf(numbers: KernelNumbers, slot: number): number {
  return numbers.ruleBase + slot;
}
