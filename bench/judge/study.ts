/**
 * Does what is chosen on some links hold on others? Each inner number of the judgement is halved and doubled; the variant
 * that does best on some links, or on some halves, is then judged on those that it was not chosen on. Pure.
 */
import { defaultTuning, type Tuning } from '../../src/core/judgement/tuning.js';
import { bestFixed, type Costs, clairvoyant, FIXED_GRID, fixedRule, learnedRule, type Outage, play } from './model.js';

export type Links = Readonly<Record<string, readonly Outage[]>>;

export function ratioOf(outages: readonly Outage[], costs: Costs, tuning?: Tuning): number {
  return play(outages, learnedRule(costs, tuning), costs).cost / clairvoyant(outages, costs);
}

export const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

export function variants(): Record<string, Tuning> {
  const changed = (Object.keys(defaultTuning) as (keyof Tuning)[]).flatMap((key) =>
    [0.5, 2].map((factor) => [`${key} x ${factor}`, { ...defaultTuning, [key]: defaultTuning[key] * factor }] as const),
  );
  return { default: defaultTuning, ...Object.fromEntries(changed) };
}

/** [variant][link] = mean over the switch costs of cost / clairvoyant */
export type Scores = Readonly<Record<string, Readonly<Record<string, number>>>>;

export function scores(links: Links, switchCostsS: readonly number[], backup: number, progress: (done: string) => void): Scores {
  return Object.fromEntries(
    Object.entries(variants()).map(([name, tuning]) => {
      progress(name);
      const row = Object.entries(links).map(([link, outages]): [string, number] => {
        return [link, mean(switchCostsS.map((switchS) => ratioOf(outages, { switchS, backup }, tuning)))];
      });
      return [name, Object.fromEntries(row)];
    }),
  );
}

export interface LeftOut {
  readonly leftOut: string;
  readonly chosen: string;
  readonly ratio: number;
  readonly defaultRatio: number;
  readonly bestRatio: number;
}

/** For each group: the variant that is best on the mean of all others, judged on the group. */
export function leaveOut(all: Scores, groups: Readonly<Record<string, readonly string[]>>): LeftOut[] {
  const on = (variant: string, links: readonly string[]): number => mean(links.map((link) => all[variant]?.[link] ?? Number.NaN));
  const best = (links: readonly string[]): string =>
    Object.keys(all).reduce((least, variant) => (on(variant, links) < on(least, links) ? variant : least), 'default');
  const everything = Object.values(groups).flat();
  return Object.entries(groups).map(([leftOut, links]) => {
    const chosen = best(everything.filter((link) => !links.includes(link)));
    return { leftOut, chosen, ratio: on(chosen, links), defaultRatio: on('default', links), bestRatio: on(best(links), links) };
  });
}

/** What the fixed rule that is best on all other links costs on each: how well numbers chosen elsewhere do. */
export function fixedLeaveOneOut(links: Links, costs: Costs): Record<string, number> {
  const cheapest = Object.fromEntries(Object.entries(links).map(([name, outages]) => [name, clairvoyant(outages, costs)]));
  const table = FIXED_GRID.map(([patienceS, holdS]) =>
    Object.fromEntries(
      Object.entries(links).map(([name, outages]) => [
        name,
        play(outages, fixedRule(patienceS, holdS), costs).cost / (cheapest[name] ?? Number.NaN),
      ]),
    ),
  );
  return Object.fromEntries(
    Object.keys(links).map((name) => {
      const others = Object.keys(links).filter((other) => other !== name);
      const row = table.reduce((a, b) => (mean(others.map((o) => b[o] ?? 0)) < mean(others.map((o) => a[o] ?? 0)) ? b : a));
      return [name, row[name] ?? Number.NaN];
    }),
  );
}

export function halves(links: Links): { first: Links; second: Links } {
  const part = (from: (n: number) => number, to: (n: number) => number): Links =>
    Object.fromEntries(Object.entries(links).map(([name, o]) => [name, o.slice(from(o.length), to(o.length))]));
  const middle = (n: number) => n >> 1;
  return { first: part(() => 0, middle), second: part(middle, (n) => n) };
}

/** cost / best fixed rule in hindsight */
export function besideBestFixed(outages: readonly Outage[], costs: Costs): number {
  return play(outages, learnedRule(costs), costs).cost / bestFixed(outages, costs).cost;
}
