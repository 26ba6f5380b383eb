/**
 * One uplink and an ideal backup: what switching rules cost on a list of outages, and the clairvoyant. A second of outage
 * felt costs 1, a switch `switchS`, a second on the backup `backup`; one comes back at the end. All in seconds. Several
 * uplinks that all may fail: clairvoyant.ts and rules.ts beside this, which must agree with it where only one does.
 */
import type { Bill } from '../played.js';

export interface Outage {
  readonly startS: number;
  readonly lengthS: number;
}

export interface Costs {
  readonly switchS: number;
  readonly backup: number;
}

/** Answers online: how long to bear the outage that begins, and how long it must be good after the one that ended. */
export interface Rule {
  began(atS: number): number;
  ended(atS: number): number;
}

export function play(outages: readonly Outage[], rule: Rule, { switchS, backup }: Costs): Bill {
  let feltS = 0;
  let switches = 0;
  let onBackupS = 0;
  let leftAtS: number | null = null;
  let returnsAtS = 0;
  for (const { startS, lengthS } of outages) {
    if (leftAtS !== null && startS >= returnsAtS) {
      onBackupS += returnsAtS - leftAtS;
      switches += 1;
      leftAtS = null;
    }
    const patienceS = rule.began(startS);
    if (leftAtS === null) {
      feltS += Math.min(lengthS, patienceS);
      if (lengthS > patienceS) {
        switches += 1;
        leftAtS = startS + patienceS;
      }
    }
    const holdS = rule.ended(startS + lengthS);
    if (leftAtS !== null) returnsAtS = startS + lengthS + holdS;
  }
  if (leftAtS !== null) {
    onBackupS += returnsAtS - leftAtS;
    switches += 1;
  }
  return { feltS, switches, onBackupS, cost: feltS + switchS * switches + backup * onBackupS };
}

export const fixedRule = (patienceS: number, holdS: number): Rule => ({ began: () => patienceS, ended: () => holdS });

/** The least possible cost for one who knows all outages. */
export function clairvoyant(outages: readonly Outage[], { switchS, backup }: Costs): number {
  let onUplink = 0;
  let onBackup = switchS;
  const relax = (): void => {
    const before = onUplink;
    onUplink = Math.min(onUplink, onBackup + switchS);
    onBackup = Math.min(onBackup, before + switchS);
  };
  let endedS = outages[0]?.startS ?? 0;
  for (const { startS, lengthS } of outages) {
    onBackup += backup * (startS - endedS);
    relax();
    onUplink += lengthS;
    onBackup += backup * lengthS;
    relax();
    endedS = startS + lengthS;
  }
  return Math.min(onUplink, onBackup + switchS);
}

/** Patience without end: one never leaves. */
export const FOREVER_S = 1e9;

const PATIENCES_S = [0, 0.3, 0.5, 1, 1.5, 2, 3, 5, 7, 10, 15, 30, 60, 120, FOREVER_S];
const HOLDS_S = [1, 5, 10, 20, 30, 60, 120, 300, 600, 1800];

/** Silence borne and health wanted, s: the fixed rules that are tried in hindsight. */
export const FIXED_GRID: readonly (readonly [number, number])[] = PATIENCES_S.flatMap((patienceS) =>
  HOLDS_S.map((holdS) => [patienceS, holdS] as const),
);

export interface FixedRule {
  readonly patienceS: number;
  readonly holdS: number;
  readonly cost: number;
}

/** The fixed rule that would have been cheapest on these outages. */
export function bestFixed(outages: readonly Outage[], costs: Costs): FixedRule {
  const rules = FIXED_GRID.map(([patienceS, holdS]) => ({
    patienceS,
    holdS,
    cost: play(outages, fixedRule(patienceS, holdS), costs).cost,
  }));
  return rules.reduce((best, rule) => (rule.cost < best.cost ? rule : best));
}

/** How well-known programs decide with what they ship: silence borne, health wanted, s. */
export const PEERS: Readonly<Record<string, readonly [number, number]>> = {
  'cron 1/min': [62, 62],
  'mwan3 1 target': [65, 45],
  'mwan3 shipped': [125, 53],
  'pfSense/dpinger': [15, 56],
  OPNsense: [16.5, 45],
  PolyWAN: [9.5, 12.5],
  foolsm: [7.5, 95],
  'VyOS WLB': [7.5, 7.5],
  'keepalived 1 s': [1.5, 1],
  'BFD 0.9 s': [0.9, 1],
  fidpa: [75, 3600],
};
