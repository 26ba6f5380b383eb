/** Links to play, made up: from lists of outages, and by chance. */
import type { SilenceCause } from '../../src/core/judgement/memory.js';
import type { Link, Lossy, RttStep, Silence } from '../../src/simulate/link.js';
import type { Random } from './random.js';

export function linkOf(name: string, lengthMs: number, change: Partial<Link> = {}): Link {
  const span = { fromMs: 0, toMs: lengthMs };
  return { name, originWallMs: null, span, silences: [], lossy: [], rtts: [], unwatchedMs: 0, ...change };
}

export function silence(fromMs: number, lengthMs: number, cause: SilenceCause = 'upstream'): Silence {
  return { fromMs, toMs: fromMs + lengthMs, cause };
}

/** Silences of every cause and length, lossy times, and round trips that change. */
export function randomLink(name: string, lengthMs: number, random: Random): Link {
  const spans = <T>(meanGapMs: number, meanMs: number, make: (fromMs: number, toMs: number) => T): T[] => {
    const made: T[] = [];
    for (let atMs = 0; ; ) {
      const fromMs = atMs + 1 + exponential(meanGapMs, random);
      const toMs = fromMs + 1 + exponential(meanMs, random) * random.pick([0.05, 1, 3]);
      if (toMs >= lengthMs) return made;
      made.push(make(fromMs, toMs));
      atMs = toMs;
    }
  };
  const causes: readonly SilenceCause[] = ['upstream', 'upstream', 'upstream', 'gateway', 'carrier', 'loss'];
  const silences = spans<Silence>(random.pick([60_000, 300_000, 1_200_000]), 20_000, (fromMs, toMs) => ({
    fromMs,
    toMs,
    cause: random.pick(causes),
  }));
  const lossy = random.chance(0.6)
    ? spans<Lossy>(400_000, 200_000, (fromMs, toMs) => ({ fromMs, toMs, share: random.pick([0.002, 0.01, 0.05, 0.3, 0.7]) }))
    : [];
  const rtts = random.chance(0.6)
    ? spans<RttStep>(random.pick([30_000, 600_000]), 1, (fromMs) => ({ fromMs, rttMs: random.pick([5, 22.5, 60, 300, 1_400]) }))
    : [];
  return linkOf(name, lengthMs, { silences, lossy, rtts });
}

function exponential(mean: number, random: Random): number {
  return -mean * Math.log(1 - random.next());
}
