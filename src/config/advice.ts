/**
 * What a configuration is worth before it runs: how fast what is detected, what the probes cost, and what had better be
 * otherwise. Pure arithmetic over the schedule of src/core/detect/detector.ts; reads neither files nor the kernel.
 */
import { type Config, DRILL_SHARE, type MeteredConfig, type TargetConfig, type UplinkConfig } from '../core/config.js';
import { answerDeadline } from '../core/detect/rtt.js';
import { sharesWith } from './between.js';
import { hostText } from './host.js';
import { costAt, familiesOf, perMonth, probeBytes, sum } from './probe-cost.js';
import { formatBytes } from './units.js';

/** How long an answer takes, for want of a measurement. */
export const ASSUMED_RTT_MS = 20;
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
  | 'over-budget' // its probes would cost more than they may
  | 'drill-costs' // a drill sends all traffic over what costs money
  | 'one-resolver'; // its failure is taken for that of all uplinks

export interface Recommendation {
  readonly code: RecommendationCode;
  /** null = the configuration as a whole */
  readonly uplink: string | null;
  /** one or two sentences */
  readonly text: string;
}

export interface MeteredAdvice {
  readonly probeBudgetBytes: number;
  /** null = no limit */
  readonly capBytes: number | null;
  /** the interval at which the probes keep within the budget; not below the configured one */
  readonly intervalMs: number;
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
  /** null = learned */
  readonly failAfterMs: number | null;
  readonly recoverAfterMs: number | null;
  /** what a learned patience never exceeds: two switches, or its own bound */
  readonly patienceAtMostMs: number;
  /** the gateway's included */
  readonly probesPerMinute: number;
  /** at the configured interval, whatever the budget is */
  readonly bytesPerMonth: number;
  /** of the new connections while all of its tier work; null = it shares with nobody */
  readonly share: number | null;
  /** null = its bytes cost nothing */
  readonly metered: MeteredAdvice | null;
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
    uplinks: config.uplinks.map((uplink) => adviseUplink(uplink, config)),
    recommendations: [...adviseAll(config.uplinks), ...adviseDrill(config)],
  };
}

function adviseUplink(uplink: UplinkConfig, { uplinks: all, switchCostMs }: Config): UplinkAdvice {
  const { probe, failAfterMs, patienceBounds } = uplink;
  const patienceAtMostMs = Math.max(patienceBounds.minMs, Math.min(patienceBounds.maxMs, 2 * switchCostMs));
  const metered = uplink.metered === null ? null : adviseMetered(uplink, uplink.metered);
  // What its budget allows decides how soon a failure shows; what it would cost is told of the interval in the file.
  const intervalMs = metered?.intervalMs ?? probe.intervalMs;
  const targets = uplink.targets.map((target) => adviseTarget(target, uplink, intervalMs));
  // Targets take turns within the interval, so any of them may be the first to miss its answer.
  const turnMs = intervalMs / Math.max(1, uplink.targets.length);
  const deadlineMs = Math.max(
    ...(uplink.targets.length > 0 ? uplink.targets.map((t) => deadlineOf(t, uplink)) : [deadline(1, uplink)]),
  );
  const certainMs = 2 * deadlineMs + (probe.burstCount - 1) * probe.burstPaceMs;
  const span = (afterMs: number): Span => ({ typicalMs: turnMs / 2 + afterMs, worstMs: turnMs + afterMs });
  const { probesPerMinute, bytesPerMonth } = costAt(uplink, probe.intervalMs);
  const mates = sharesWith(uplink, all);
  return {
    name: uplink.name,
    gateways: uplink.gateways.map(({ host }) => hostText(host)),
    targets,
    detected: span(certainMs),
    switched: span(Math.max(certainMs, failAfterMs ?? patienceAtMostMs)),
    patienceAtMostMs,
    failAfterMs,
    recoverAfterMs: uplink.recoverAfterMs,
    probesPerMinute,
    bytesPerMonth,
    share: mates.length === 0 ? null : uplink.weight / sum([uplink, ...mates].map(({ weight }) => weight)),
    metered,
    recommendations: recommend(uplink, all, metered),
  };
}

function adviseMetered(uplink: UplinkConfig, { probeBudgetBytes, capBytes }: MeteredConfig): MeteredAdvice {
  const { intervalMs } = uplink.probe;
  const over = (everyMs: number): boolean => costAt(uplink, everyMs).bytesPerMonth > probeBudgetBytes;
  let [below, enough] = [intervalMs, intervalMs];
  while (over(enough)) [below, enough] = [enough, 2 * enough];
  // To the tenth of a second: the cost falls with the interval, but not in proportion to it.
  while (enough - below > 100) {
    const middle = (below + enough) / 2;
    if (over(middle)) below = middle;
    else enough = middle;
  }
  return { probeBudgetBytes, capBytes, intervalMs: enough === intervalMs ? intervalMs : Math.ceil(enough / 100) * 100 };
}

function adviseTarget(target: TargetConfig, uplink: UplinkConfig, effectiveMs: number): TargetAdvice {
  const { intervalMs } = uplink.probe;
  const waitMs = deadlineOf(target, uplink);
  const families = familiesOf(target, uplink);
  return {
    label: target.label,
    kind: target.kind,
    noticed: { typicalMs: effectiveMs / 2 + waitMs, worstMs: effectiveMs + waitMs },
    probesPerMinute: (families.length * 60_000) / intervalMs,
    bytesPerMonth: sum(families.map((family) => perMonth(intervalMs) * probeBytes(target, family))),
  };
}

// ---- how long an answer takes ----------------------------------------------------------------------------------------

function deadline(roundTrips: number, uplink: UplinkConfig): number {
  const { deadlineFloorMs, timeoutMs } = uplink.probe;
  return answerDeadline({ srttMs: roundTrips * ASSUMED_RTT_MS, rttvarMs: 0 }, deadlineFloorMs, timeoutMs);
}

function deadlineOf(target: TargetConfig, uplink: UplinkConfig): number {
  if (target.kind !== 'http') return deadline(1, uplink);
  // Connection, then (TLS 1.3, then) question and answer.
  return deadline(target.url.toLowerCase().startsWith('https:') ? 3 : 2, uplink);
}

// ---- recommendations -------------------------------------------------------------------------------------------------

function recommend(uplink: UplinkConfig, all: readonly UplinkConfig[], metered: MeteredAdvice | null): Recommendation[] {
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
  if (metered !== null && metered.intervalMs > uplink.probe.intervalMs) {
    const cost = formatBytes(costAt(uplink, uplink.probe.intervalMs).bytesPerMonth);
    say(
      'over-budget',
      `Its probes would take ${cost} a month, and ${formatBytes(metered.probeBudgetBytes)} is their budget: that allows one every ` +
        `${metered.intervalMs / 1000} s to each target, and failures show accordingly. Raise probe-budget, name fewer or cheaper targets, or choose that interval.`,
    );
  }
  if (uplink.probe.intervalMs > LONG_INTERVAL_MS && metered === null) {
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

function adviseDrill({ drill, uplinks }: Config): Recommendation[] {
  if (drill === null || drill.traffic !== 'all') return [];
  const tried = uplinks.filter(({ name }, index) => (drill.uplinks.length === 0 ? index > 0 : drill.uplinks.includes(name)));
  const costly = tried.filter(({ metered }) => metered !== null).map(({ name }) => name);
  if (costly.length === 0) return [];
  const text = `A drill sends all new traffic over ${costly.join(', ')}, whose bytes cost money. With traffic: some it is one connection of ${DRILL_SHARE}.`;
  return [{ code: 'drill-costs', uplink: null, text }];
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
