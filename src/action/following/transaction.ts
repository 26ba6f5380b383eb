/**
 * Brings one service to what an uplink wants, or leaves it as it was: look, journal, change, check, reload, verify, drop the
 * journal. A journal found at the start is a transaction that was killed: it goes forward to what is wanted now, reloads in any
 * case, and on failure returns to the state before the killed one. Knows no service and no queue.
 */
import type { FollowOutcome } from '../../core/action.js';
import type { Journal } from './journal.js';
import { differing, type Service, type Things, textOf } from './service.js';

export type Outcome = Omit<FollowOutcome, 'run'>;

/**
 * Told when done: `look`, `journal`, `change THING`, `check`, `reload`, `verify`, `settle`, `drop`; on the way back
 * `restore THING`, `reload-former`, `drop`. For tests that end the process there.
 */
export type AfterStep = (step: string) => void;

export interface TransactionParts {
  readonly service: Service;
  readonly journal: Journal;
  /** superseded: nothing new is begun. From the reload on it is finished, since that is shorter than going back. */
  readonly signal: AbortSignal;
  readonly afterStep: AfterStep;
}

/** Never rejects. */
export function transact(parts: TransactionParts): Promise<Outcome> {
  return new Transaction(parts).run();
}

class Transaction {
  readonly #service: Service;
  readonly #journal: Journal;
  readonly #signal: AbortSignal;
  readonly #step: AfterStep;
  #former: Things | null = null;
  /** by us now, or by the one that was killed */
  #touched = false;
  readonly #remarks: string[] = [];

  constructor({ service, journal, signal, afterStep }: TransactionParts) {
    this.#service = service;
    this.#journal = journal;
    this.#signal = signal;
    this.#step = afterStep;
  }

  async run(): Promise<Outcome> {
    try {
      const changed = await this.#forward();
      const said = changed ? [] : ['nothing had to be changed'];
      const text = [this.#service.goal, ...said, ...this.#remarks].join('; ');
      return { ok: true, changed, rolledBack: null, superseded: this.#signal.aborted, text };
    } catch (error) {
      const superseded = this.#signal.aborted;
      const why = superseded ? 'superseded by a later wish' : textOf(error);
      return { ok: false, superseded, ...(await this.#back(why)) };
    }
  }

  /** @returns whether anything had to be changed. Throws where it must not go on. */
  async #forward(): Promise<boolean> {
    const broken = await this.#journal.read();
    this.#former = broken;
    this.#touched = broken !== null;
    this.#mayGoOn();
    const wanted = await this.#service.want(this.#signal);
    // What the killed one had touched and nobody wants any more goes back to what it was.
    const goal: Things = { ...broken, ...wanted };
    const actual = await this.#service.read(Object.keys(goal));
    this.#step('look');
    this.#mayGoOn();
    if (broken === null && differing(actual, goal).length === 0) {
      await this.#service.confirm();
      return false;
    }
    const former: Things = { ...actual, ...broken };
    await this.#journal.write(former);
    this.#former = former;
    this.#step('journal');
    this.#mayGoOn();
    this.#touched = true;
    await this.#service.put(pick(goal, differing(actual, goal)), (thing) => this.#step(`change ${thing}`));
    this.#mayGoOn();
    await this.#service.check(this.#signal);
    this.#step('check');
    this.#mayGoOn();
    this.#remark(await this.#service.reload());
    this.#step('reload');
    await this.#verify(goal);
    await this.#service.confirm();
    this.#step('verify');
    await this.#service.settle().catch((error: unknown) => this.#remark(textOf(error)));
    this.#step('settle');
    await this.#drop();
    return true;
  }

  async #back(why: string): Promise<Pick<Outcome, 'changed' | 'rolledBack' | 'text'>> {
    const former = this.#former;
    if (former === null) return { changed: false, rolledBack: null, text: why };
    if (!this.#touched) {
      await this.#drop();
      return { changed: false, rolledBack: null, text: [why, ...this.#remarks].join('; ') };
    }
    try {
      const actual = await this.#service.read(Object.keys(former));
      await this.#service.put(pick(former, differing(actual, former)), (thing) => this.#step(`restore ${thing}`));
      await this.#service.reload();
      this.#step('reload-former');
      await this.#verify(former);
      await this.#drop();
      return { changed: false, rolledBack: true, text: [why, 'the former state stands again', ...this.#remarks].join('; ') };
    } catch (error) {
      // The journal stays: the next attempt starts from it.
      return { changed: true, rolledBack: false, text: `${why}; and the former state could NOT be put back: ${textOf(error)}` };
    }
  }

  #mayGoOn(): void {
    if (this.#signal.aborted) throw new Error('superseded');
  }

  #remark(text: string | null): void {
    if (text !== null && !this.#remarks.includes(text)) this.#remarks.push(text);
  }

  async #verify(goal: Things): Promise<void> {
    const wrong = differing(await this.#service.read(Object.keys(goal)), goal);
    if (wrong.length > 0) throw new Error(`${wrong.join(', ')}: read back otherwise than it was written`);
  }

  /** A journal that cannot be removed costs one needless reload later: no reason to fail. */
  async #drop(): Promise<void> {
    await this.#journal.drop().catch((error: unknown) => this.#remark(textOf(error)));
    this.#step('drop');
  }
}

function pick(things: Things, names: readonly string[]): Things {
  return Object.fromEntries(names.map((name) => [name, things[name] ?? null]));
}
