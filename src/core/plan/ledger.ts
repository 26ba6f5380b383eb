/**
 * The kernel as it was last read, with what was handed out since: a promise until its result is back, then a fact or
 * nothing. Without it a refused operation would pass for done, and probes would leave without their rule.
 */

import type { KernelOp, KernelState, OpResult } from '../kernel.js';
import { sameRoute } from './diff.js';
import { applyOp } from './kernel-model.js';

export class Ledger {
  readonly #keyOf: (op: KernelOp) => string;
  /** as last read, with the results that came back since */
  #known: KernelState | null = null;
  /** handed out, result not back yet */
  #pending: readonly KernelOp[] = [];
  #expected: KernelState | null = null;

  /** @param keyOf the same text for the same operation, whatever object it is */
  constructor(keyOf: (op: KernelOp) => string) {
    this.#keyOf = keyOf;
  }

  /** How the kernel looks when everything handed out works. */
  get state(): KernelState | null {
    return this.#expected;
  }

  /** How it looks without what is still handed out. */
  get known(): KernelState | null {
    return this.#known;
  }

  get pending(): readonly KernelOp[] {
    return this.#pending;
  }

  read(state: KernelState): void {
    this.#known = state;
    this.#expect();
  }

  handedOut(ops: readonly KernelOp[]): void {
    this.#pending = [...this.#pending, ...ops];
    this.#expect();
  }

  /** Results may come back in another order than they were handed out: nft takes its time. */
  settled(results: readonly OpResult[]): void {
    for (const { op, ok } of results) {
      const mine = this.#pending.findIndex((pending) => this.#keyOf(pending) === this.#keyOf(op));
      if (mine >= 0) this.#pending = this.#pending.toSpliced(mine, 1);
      if (ok && this.#known !== null) this.#known = withOp(this.#known, op);
    }
    this.#expect();
  }

  #expect(): void {
    this.#expected = this.#known === null ? null : this.#pending.reduce(withOp, this.#known);
  }
}

/** A delete takes exactly its own route: the kernel's looser match must not count twice when the state was read in between. */
function withOp(state: KernelState, op: KernelOp): KernelState {
  if (op.op !== 'route-delete') return applyOp(state, op).state;
  const index = state.routes.findIndex((route) => sameRoute(route, op.route));
  return index < 0 ? state : { ...state, routes: state.routes.toSpliced(index, 1) };
}
