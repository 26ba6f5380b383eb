/**
 * What a configuration is worth before it runs: how fast what is detected, what the probes cost, and what had better be
 * otherwise. Pure arithmetic over the schedule of src/core/detector.ts; reads neither files nor the kernel.
 */
import type { Config, TargetConfig, UplinkConfig } from '../core/config.js';
import type { Family } from '../core/model.js';
import { answerDeadline } from '../core/rtt.js';
import { hostText } from './host.js';

/** How long an answer takes, for want of a measurement. */
export const ASSUMED_RTT_MS = 20;
const DAYS_PER_MONTH = 30;
/** How often the detector asks the gateway beside the targets while all is well. */
const GATEWAY_EVERY_MS = 10_000;
/** Above this, failures are noticed late enough to be worth a word. */
const LONG_INTERVAL_MS = 10_000;

/** A time that depends on when within the interval the failure falls. */
export interface Span {
  /** median, every moment of the interval being equally likely */
  readonly typicalMs: number;
  readonly worstMs: number;
}

export interface TargetAdvice {
  readonly label: string;
  readonly kind: TargetConfig['kind'];
  /** from the failure of this target alone until its answer is overdue */
  readonly noticed: Span;
  readonly probesPerMinute: number;
  /** IP packets of both directions, 30 days */
  readonly bytesPerMonth: number;
}

export type RecommendationCode =
  | 'no-targets' // only the gateway is watched
  | 'single-target' // its failure is taken for the uplink's
  | 'target-is-gateway' // proves the box, not the way beyond
  | 'target-unshared' // no other uplink could tell that the target itself is dead
  | 'family-unwatched' // one family of the uplink has no target
  | 'long-interval'
  | 'one-resolver'; // its failure is taken for that of all uplinks

export interface Recommendation {
  readonly code: RecommendationCode;
  /** null = the configuration as a whole */
  readonly uplink: string | null;
  /** one or two sentences */
  readonly text: string;
}

export interface UplinkAdvice {
  readonly name: string;
  /** as the file names them */
  readonly gateways: readonly string[];
  /** empty where the gateway itself is watched */
  readonly targets: readonly TargetAdvice[];
  /** from the moment nothing comes through until that is certain */
  readonly detected: Span;
  /** from the same moment until traffic may leave; fail-after counts from the first unanswered probe */
  readonly switched: Span;
  readonly failAfterMs: number;
  readonly recoverAfterMs: number;
  /** the gateway's included */
  readonly probesPerMinute: number;
  readonly bytesPerMonth: number;
  readonly recommendations: readonly Recommendation[];
}

export interface Advice {
  readonly assumedRttMs: number;
  readonly uplinks: readonly UplinkAdvice[];
  /** those that concern no single uplink */
  readonly recommendations: readonly Recommendation[];
}

export function adviseConfig(config: Config): Advice {
  return {
    assumedRttMs: ASSUMED_RTT_MS,
    uplinks: config.uplinks.map((uplink) => adviseUplink(uplink, config.uplinks)),
    recommendations: adviseAll(config.uplinks),
  };
}

function adviseUplink(uplink: UplinkConfig, all: readonly UplinkConfig[]): UplinkAdvice {
  const { probe, failAfterMs } = uplink;
  const targets = uplink.targets.map((target) => adviseTarget(target, uplink));
  // Targets take turns within the interval, so any of them may be the first to miss its answer.
  const turnMs = probe.intervalMs / Math.max(1, uplink.targets.length);
  const deadlineMs = Math.max(
    ...(uplink.targets.length > 0 ? uplink.targets.map((t) => deadlineOf(t, uplink)) : [deadline(1, uplink)]),
  );
  const certainMs = 2 * deadlineMs + (probe.burstCount - 1) * probe.burstPaceMs;
  const span = (afterMs: number): Span => ({ typicalMs: turnMs / 2 + afterMs, worstMs: turnMs + afterMs });
  const gatewayEveryMs = uplink.targets.length === 0 ? probe.intervalMs : Math.max(GATEWAY_EVERY_MS, probe.intervalMs);
  let probesPerMinute = sum(targets.map((target) => target.probesPerMinute));
  let bytesPerMonth = sum(targets.map((target) => target.bytesPerMonth));
  for (const { family } of uplink.gateways) {
    probesPerMinute += 60_000 / gatewayEveryMs;
    bytesPerMonth += perMonth(gatewayEveryMs) * echoBytes(family);
  }
  return {
    name: uplink.name,
    gateways: uplink.gateways.map(({ host }) => hostText(host)),
    targets,
    detected: span(certainMs),
    switched: span(Math.max(certainMs, failAfterMs)),
    failAfterMs,
    recoverAfterMs: uplink.recoverAfterMs,
    probesPerMinute,
    bytesPerMonth,
    recommendations: recommend(uplink, all),
  };
}

function adviseTarget(target: TargetConfig, uplink: UplinkConfig): TargetAdvice {
  const { intervalMs } = uplink.probe;
  const waitMs = deadlineOf(target, uplink);
  const families = familiesOf(target, uplink);
  return {
    label: target.label,
    kind: target.kind,
    noticed: { typicalMs: intervalMs / 2 + waitMs, worstMs: intervalMs + waitMs },
    probesPerMinute: (families.length * 60_000) / intervalMs,
    bytesPerMonth: sum(families.map((family) => perMonth(intervalMs) * probeBytes(target, family))),
  };
}

/** A name is asked in every family of its uplink. */
function familiesOf(target: TargetConfig, uplink: UplinkConfig): readonly Family[] {
  const { host } = target;
  return host.kind === 'address' ? [host.family] : uplink.gateways.map(({ family }) => family);
}

function perMonth(everyMs: number): number {
  return (DAYS_PER_MONTH * 86_400_000) / everyMs;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

// ---- what a probe takes ----------------------------------------------------------------------------------------------

function deadline(roundTrips: number, uplink: UplinkConfig): number {
  const { deadlineFloorMs, timeoutMs } = uplink.probe;
  return answerDeadline({ srttMs: roundTrips * ASSUMED_RTT_MS, rttvarMs: 0 }, deadlineFloorMs, timeoutMs);
}

function deadlineOf(target: TargetConfig, uplink: UplinkConfig): number {
  if (target.kind !== 'http') return deadline(1, uplink);
  // Connection, then (TLS 1.3, then) question and answer.
  return deadline(target.url.toLowerCase().startsWith('https:') ? 3 : 2, uplink);
}

const IP_HEADER: Readonly<Record<Family, number>> = { 4: 20, 6: 40 };
/** An echo of ours: ICMP header and token. */
const ECHO_BYTES = 24;
const UDP_HEADER = 8;
const DNS_HEADER = 12;
/** Type and class after the name asked for. */
const DNS_QUESTION_TAIL = 4;
const DNS_ANSWER = 100;
/** SYN and its answer with all options, an acknowledgement, a reset. */
const TCP_PACKETS = 4;
const TCP_BYTES = 40 + 40 + 32 + 20;
/** Question and the head of the answer; certificates for https. The page itself is read to 64 KiB at most, and assumed to be small. */
const HTTP_BYTES = 1_500;
const TLS_BYTES = 5_000;

function echoBytes(family: Family): number {
  return 2 * (IP_HEADER[family] + ECHO_BYTES);
}

/** Bytes of IP packets, both directions, of one probe that is answered. */
function probeBytes(target: TargetConfig, family: Family): number {
  const tcp = TCP_PACKETS * IP_HEADER[family] + TCP_BYTES;
  switch (target.kind) {
    case 'icmp':
      return echoBytes(family);
    case 'tcp':
      return tcp;
    case 'dns':
      return 2 * (IP_HEADER[family] + UDP_HEADER + DNS_HEADER + target.name.length + 2 + DNS_QUESTION_TAIL) + DNS_ANSWER;
    case 'http':
      return tcp + HTTP_BYTES + (target.url.toLowerCase().startsWith('https:') ? TLS_BYTES : 0);
  }
}

// ---- recommendations -------------------------------------------------------------------------------------------------

function recommend(uplink: UplinkConfig, all: readonly UplinkConfig[]): Recommendation[] {
  const found: Recommendation[] = [];
  const say = (code: RecommendationCode, text: string): void => {
    found.push({ code, uplink: uplink.name, text });
  };
  const [only, second] = uplink.targets;
  if (only === undefined) {
    say(
      'no-targets',
      'Only its gateway is watched: what fails beyond it is not noticed. Name two or three targets beyond the gateway.',
    );
  } else if (second === undefined) {
    say(
      'single-target',
      `${only.label} is its only target: when that one fails, the uplink is taken to have failed. Add a second one, of another owner.`,
    );
  }
  const gateways = uplink.gateways.map(({ host }) => hostText(host).toLowerCase());
  for (const target of uplink.targets) {
    if (!gateways.includes(hostText(target.host).toLowerCase())) continue;
    say('target-is-gateway', `Target ${target.label} is the gateway itself: it proves the router, not the way beyond it.`);
  }
  const unshared = uplink.targets.filter(
    (target) => !all.some((other) => other !== uplink && other.targets.some((one) => sameTarget(one, target))),
  );
  if (all.length > 1 && unshared.length > 0 && unshared.length === uplink.targets.length) {
    const labels = unshared.map((target) => target.label).join(', ');
    say(
      'target-unshared',
      `No other uplink asks ${labels}: nothing tells a dead target from a dead uplink. Give one target to all uplinks, under defaults.`,
    );
  }
  for (const { family } of uplink.gateways) {
    if (uplink.targets.length === 0 || uplink.targets.some((target) => familiesOf(target, uplink).includes(family))) continue;
    say('family-unwatched', `None of its targets can be asked by IPv${family}: in that family only the gateway is watched.`);
  }
  if (uplink.probe.intervalMs > LONG_INTERVAL_MS) {
    say(
      'long-interval',
      `It is asked every ${uplink.probe.intervalMs / 1000} s only: a failure shows no sooner. One probe a second costs little.`,
    );
  }
  return found;
}

function sameTarget(a: TargetConfig, b: TargetConfig): boolean {
  return hostText(a.host).toLowerCase() === hostText(b.host).toLowerCase();
}

function adviseAll(uplinks: readonly UplinkConfig[]): Recommendation[] {
  if (uplinks.length < 2) return [];
  const servers = new Set<string>();
  for (const uplink of uplinks) {
    if (uplink.targets.length === 0) return [];
    for (const target of uplink.targets) {
      if (target.kind !== 'dns') return [];
      servers.add(hostText(target.host).toLowerCase());
    }
  }
  const [server, another] = servers;
  if (server === undefined || another !== undefined) return [];
  return [
    {
      code: 'one-resolver',
      uplink: null,
      text: `All uplinks ask the resolver ${server} and nothing else: when it fails, all of them seem to. Add a target of another kind.`,
    },
  ];
}
