/**
 * Keeps the account of what traffic went through: how much outage it felt, and how long it was where. Exact over the links' own
 * times, whatever the probes saw of them. Knows no engine.
 */
import type { FarLine } from './far-line.js';
import type { Bill, Prices } from './played.js';

export class Account {
  readonly #lines: readonly FarLine[];
  readonly #prices: Prices;
  readonly #onS: number[];
  #feltS = 0;
  #switches = 0;
  /** part of the traffic on each uplink; empty = it goes nowhere */
  #shares: readonly number[] = [];
  #sinceMs: number;

  constructor(lines: readonly FarLine[], prices: Prices, fromMs: number) {
    this.#lines = lines;
    this.#prices = prices;
    this.#onS = lines.map(() => 0);
    this.#sinceMs = fromMs;
  }

  /** From here on traffic goes so. What lies before the account began is not in it. */
  goes(shares: readonly number[], atMs: number): void {
    this.#upTo(atMs);
    this.#shares = shares;
  }

  switched(): void {
    this.#switches += 1;
  }

  bill(atMs: number): Bill {
    this.#upTo(atMs);
    const { switchS, perSecond } = this.#prices;
    const onBackupS = this.#onS.slice(1).reduce((sum, seconds) => sum + seconds, 0);
    const staying = this.#onS.reduce((sum, seconds, place) => sum + seconds * (perSecond[place] ?? 0), 0);
    return {
      feltS: this.#feltS,
      switches: this.#switches,
      onBackupS,
      cost: this.#feltS + this.#switches * switchS + staying,
    };
  }

  #upTo(atMs: number): void {
    if (atMs <= this.#sinceMs) return;
    const spanS = (atMs - this.#sinceMs) / 1000;
    if (this.#shares.length === 0) this.#feltS += spanS;
    this.#shares.forEach((share, place) => {
      if (share === 0) return;
      this.#feltS += share * (this.#lines[place]?.feltS(this.#sinceMs, atMs) ?? 0);
      this.#onS[place] = (this.#onS[place] ?? 0) + share * spanS;
    });
    this.#sinceMs = atMs;
  }
}
