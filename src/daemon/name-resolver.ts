/**
 * Looks names up beside the loop through the system's own resolver (getaddrinfo: hosts file, DNS, whatever nsswitch says).
 * A dead resolver holds an answer back for many seconds; nobody waits here. Must not know what the addresses are for.
 */
import { lookup } from 'node:dns/promises';
import type { Family } from '../core/model.js';

export type Lookup = (name: string, family: Family) => Promise<readonly string[]>;

export interface NameOutcome {
  readonly name: string;
  readonly family: Family;
  readonly addresses: readonly string[];
  /** null = resolved */
  readonly error: string | null;
}

export const systemLookup: Lookup = async (name, family) => {
  const answers = await lookup(name, { family, all: true, verbatim: true });
  return answers.map((answer) => answer.address);
};

export class NameResolver {
  readonly #lookup: Lookup;
  readonly #onOutcome: (outcome: NameOutcome) => void;
  readonly #queues = new Map<string, Family[]>();

  constructor(lookupName: Lookup, onOutcome: (outcome: NameOutcome) => void) {
    this.#lookup = lookupName;
    this.#onOutcome = onOutcome;
  }

  /**
   * At most one lookup per name at a time, each family once in its queue: libuv gives getaddrinfo two threads in all, and
   * a name that hangs must not take them from the others twice.
   */
  resolve(name: string, family: Family): void {
    const queue = this.#queues.get(name);
    if (queue === undefined) {
      this.#queues.set(name, [family]);
      void this.#work(name);
    } else if (!queue.includes(family)) {
      queue.push(family);
    }
  }

  async #work(name: string): Promise<void> {
    for (;;) {
      const family = this.#queues.get(name)?.[0];
      if (family === undefined) {
        this.#queues.delete(name);
        return;
      }
      const outcome = await this.#ask(name, family);
      this.#queues.get(name)?.shift();
      this.#onOutcome(outcome);
    }
  }

  async #ask(name: string, family: Family): Promise<NameOutcome> {
    try {
      const addresses = await this.#lookup(name, family);
      return { name, family, addresses, error: addresses.length === 0 ? 'no address' : null };
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      const text = error instanceof Error ? error.message : String(error);
      return { name, family, addresses: [], error: code === 'ENOTFOUND' ? 'no such name (ENOTFOUND)' : text };
    }
  }
}
