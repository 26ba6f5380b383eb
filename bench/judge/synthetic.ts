/** Links that nobody measured: of known shape, so that a rule's weakness can be seen. Seeded, so the same each time. */
import type { Outage } from './model.js';

type Random = () => number;
type Draw = (random: Random) => number;

const DAY_S = 86_400;

/** Mulberry32. @returns numbers in [0, 1) */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const exponential =
  (meanS: number): Draw =>
  (random) =>
    -meanS * Math.log(1 - random());
const normal: Draw = (random) => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
const lognormal =
  (medianS: number, sigma: number): Draw =>
  (random) =>
    medianS * Math.exp(sigma * normal(random));
const pareto =
  (leastS: number, alpha: number, mostS: number): Draw =>
  (random) =>
    Math.min(mostS, leastS * (1 - random()) ** (-1 / alpha));
const mostly =
  (share: number, one: Draw, other: Draw): Draw =>
  (random) =>
    random() < share ? one(random) : other(random);

/** Silences and good times in turn, each as drawn. */
function link(seed: number, count: number, silence: Draw, good: Draw, startS = 0): Outage[] {
  const random = seeded(seed);
  const outages: Outage[] = [];
  let nowS = startS;
  for (let i = 0; i < count; i += 1) {
    nowS += good(random);
    const lengthS = Math.max(0.05, silence(random));
    outages.push({ startS: nowS, lengthS });
    nowS += lengthS;
  }
  return outages;
}

const endOf = (outages: readonly Outage[]): number => {
  const last = outages.at(-1);
  return last === undefined ? 0 : last.startS + last.lengthS;
};

function inTurn(...makers: ((startS: number) => Outage[])[]): Outage[] {
  const outages: Outage[] = [];
  for (const maker of makers) outages.push(...maker(endOf(outages)));
  return outages;
}

/** Alternates between bad patches and calm of geometric length. */
function patches(seed: number, count: number, bad: readonly [Draw, Draw], calm: readonly [Draw, Draw]): Outage[] {
  const random = seeded(seed);
  let inBad = false;
  return link(
    seed + 1,
    count,
    (r) => (inBad ? bad[0] : calm[0])(r),
    (r) => {
      if (random() < 0.15) inBad = !inBad;
      return (inBad ? bad[1] : calm[1])(r);
    },
  );
}

/** By night all is well, by day it stutters. */
function dayAndNight(seed: number): Outage[] {
  const days = Array.from({ length: 10 }, (_, day) =>
    link(seed + day, 25, lognormal(3, 1.2), exponential(1_200), day * DAY_S).filter(({ startS }) => startS < (day + 0.6) * DAY_S),
  );
  return days.flat();
}

const calmBlips = (seed: number, count: number) => (startS: number) =>
  link(seed, count, exponential(1), exponential(4_000), startS);
const every20S = (startS: number): Outage[] =>
  Array.from({ length: 180 }, (_, i) => ({ startS: startS + 600 + 20 * i, lengthS: 10 }));

/** What must stay within 1.3 of the best fixed rule in hindsight, each. */
export const NAMED_LINKS: Readonly<Record<string, readonly Outage[]>> = {
  cable: link(1, 30, lognormal(240, 0.8), exponential(5 * DAY_S)),
  'dies for good': inTurn(calmBlips(2, 10), (startS) => [{ startS: startS + 5_000, lengthS: 7 * DAY_S }]),
  'dies on its first day': [{ startS: 50_000, lengthS: 3_600 }],
  'flaps every 20 s for an hour': inTurn(calmBlips(3, 6), every20S, calmBlips(4, 6)),
  'flaps from the start': every20S(0),
  'habits change: seconds to minutes': inTurn(
    (startS) => link(5, 150, lognormal(0.9, 0.5), exponential(400), startS),
    (startS) => link(6, 60, lognormal(180, 0.6), exponential(3_000), startS),
  ),
  'habits change: minutes to seconds': inTurn(
    (startS) => link(7, 60, lognormal(180, 0.6), exponential(3_000), startS),
    (startS) => link(8, 150, lognormal(0.9, 0.5), exponential(400), startS),
  ),
};

/** Shapes of silences and good times that real links have, three seeds each. */
export function families(): Record<string, readonly (readonly Outage[])[]> {
  const seeds = [100, 200, 300];
  const make = (maker: (seed: number) => Outage[]) => seeds.map(maker);
  return {
    'exponential 1 s': make((s) => link(s, 200, exponential(1), exponential(120))),
    'exponential 10 s': make((s) => link(s, 200, exponential(10), exponential(300))),
    'lognormal 1 s': make((s) => link(s, 200, lognormal(1, 1.2), lognormal(60, 1.5))),
    'lognormal 3 s': make((s) => link(s, 200, lognormal(3, 1.5), lognormal(120, 1.5))),
    'Pareto 0.8': make((s) => link(s, 200, pareto(0.5, 0.8, 7_200), pareto(10, 0.6, DAY_S))),
    'Pareto 1.2': make((s) => link(s, 200, pareto(0.5, 1.2, 7_200), pareto(5, 0.5, DAY_S))),
    'short and long': make((s) => link(s, 200, mostly(0.8, lognormal(0.8, 0.5), lognormal(60, 1)), exponential(300))),
    'bad patches': make((s) => patches(s, 200, [exponential(8), exponential(8)], [exponential(1), exponential(600)])),
    'worse patches': make((s) => patches(s, 200, [lognormal(15, 1), exponential(20)], [lognormal(0.8, 0.5), exponential(100)])),
    'low orbit': make((s) =>
      link(s, 400, mostly(0.9, lognormal(0.7, 0.4), pareto(3, 1, 600)), mostly(0.5, exponential(15), exponential(200))),
    ),
    'day and night': make(dayAndNight),
  };
}
