/**
 * Which names need an address, when they are asked for again, and what they last were. It asks nobody: the engine turns
 * its wishes into `resolve` effects, and the answers come back as events. A failed resolution never takes an address away.
 */
import type { Agenda, Entry } from '../agenda.js';
import type { Family } from '../model.js';

/** A name that has resolved is asked for again after this. */
const REFRESH_MS = 60_000;
/** One that has not, after this. */
const RETRY_MS = 5_000;

interface Name {
  address: string | null;
  /** every address met lately and when, for those who need all of them: large providers rotate theirs */
  met: Map<string, number>;
  /** failing is no news: it is asked for in a family that it need not have */
  quiet: boolean;
  error: string | null;
  wanted: boolean;
  /** the next time it is asked for */
  next: Entry | null;
}

/** An address that was in an answer is reckoned with for so long: others may still have it from then. */
const LATELY_MS = 3_600_000;

const keyOf = (name: string, family: Family): string => `${name}/${family}`;

export class Names {
  readonly #names = new Map<string, Name>();
  readonly #agenda: Agenda;
  readonly #ask: (name: string, family: Family) => void;

  /** @param lastGood `name/family` -> address, from an earlier run */
  constructor(lastGood: Readonly<Record<string, string>>, agenda: Agenda, ask: (name: string, family: Family) => void) {
    this.#agenda = agenda;
    this.#ask = ask;
    for (const [key, address] of Object.entries(lastGood))
      this.#names.set(key, { address, met: new Map([[address, 0]]), quiet: false, error: null, wanted: false, next: null });
  }

  /** Starts to keep this name resolved. @returns its last good address */
  want(name: string, family: Family, quiet = false): string | null {
    const fresh: Name = { address: null, met: new Map(), quiet, error: null, wanted: false, next: null };
    const known = this.#names.get(keyOf(name, family)) ?? fresh;
    known.quiet = quiet && (known.quiet || !known.wanted);
    this.#names.set(keyOf(name, family), known);
    if (!known.wanted) {
      known.wanted = true;
      this.#ask(name, family);
    }
    return known.address;
  }

  unwantAll(): void {
    for (const name of this.#names.values()) name.wanted = false;
  }

  /** @returns whether the address in use changed, or for quiet names any of them */
  resolved(name: string, family: Family, addresses: readonly string[], nowMs: number): boolean {
    const known = this.#names.get(keyOf(name, family));
    if (known === undefined) return false;
    this.#again(name, family, known, REFRESH_MS, nowMs);
    known.error = null;
    const [first] = addresses;
    const others = this.#meet(known, addresses, nowMs) && known.quiet;
    if (first === undefined || (known.address !== null && addresses.includes(known.address))) return others;
    known.address = first;
    return true;
  }

  /** @returns whether this failure is news */
  failed(name: string, family: Family, error: string, nowMs: number): boolean {
    const known = this.#names.get(keyOf(name, family));
    if (known === undefined) return false;
    this.#again(name, family, known, RETRY_MS, nowMs);
    const news = known.error === null && !known.quiet;
    known.error = error;
    return news;
  }

  /** Last good addresses of everything wanted. */
  lastGood(): Record<string, string> {
    return Object.fromEntries([...this.#names].flatMap(([key, n]) => (n.wanted && n.address !== null ? [[key, n.address]] : [])));
  }

  addressesOf(name: string, family: Family): readonly string[] {
    return [...(this.#names.get(keyOf(name, family))?.met.keys() ?? [])];
  }

  addressOf(name: string, family: Family): string | null {
    return this.#names.get(keyOf(name, family))?.address ?? null;
  }

  /** @returns whether the addresses met lately are others than before */
  #meet(known: Name, addresses: readonly string[], nowMs: number): boolean {
    if (addresses.length === 0) return false;
    const before = [...known.met.keys()].join();
    for (const address of addresses) known.met.set(address, nowMs);
    for (const [address, metMs] of known.met) if (nowMs - metMs > LATELY_MS) known.met.delete(address);
    return [...known.met.keys()].join() !== before;
  }

  #again(name: string, family: Family, known: Name, delayMs: number, nowMs: number): void {
    // Wanted anew by a reload it was asked for at once: one round of questions is enough.
    if (known.next !== null) known.next.cancelled = true;
    known.next = this.#agenda.at(nowMs + delayMs, () => {
      if (known.wanted) this.#ask(name, family);
    });
  }
}
