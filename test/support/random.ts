/** Random numbers from a seed, so that every randomised test can be run again. */
import { Chance } from '../../src/simulate/random.js';

export class Random extends Chance {
  chance(share: number): boolean {
    return share > 0 && this.next() < share;
  }

  between(low: number, high: number): number {
    return low + (high - low) * this.next();
  }

  pick<T>(choices: readonly T[]): T {
    const chosen = choices[Math.floor(this.next() * choices.length)];
    if (chosen === undefined) throw new Error('nothing to pick from');
    return chosen;
  }
}

/** A usual run says of a change whether it broke something, and not what luck found: it plays the same lives every time. */
const USUAL_SEED = 20261122;

/** BACKROUTE_SEED: a number, or `random` for a hunt; tests print what they take. */
export function seedFromEnvironment(): number {
  const given = process.env.BACKROUTE_SEED;
  if (given === undefined || given === '') return USUAL_SEED;
  if (given === 'random') return Math.floor(Math.random() * 2 ** 31);
  if (!/^\d+$/.test(given)) throw new Error(`BACKROUTE_SEED is not a number: ${given}`);
  return Number(given);
}
