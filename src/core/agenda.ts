/**
 * What is due when: a binary heap of callbacks in the engine's own time. It runs nothing by itself; the engine asks for
 * what is due when it is told the time. O(log n) per entry, cancelled entries are dropped when they come up.
 */

export interface Entry {
  readonly atMs: number;
  cancelled: boolean;
}

interface Item extends Entry {
  readonly order: number;
  /** one of a steady cadence, whose owner can move it on */
  readonly periodic: boolean;
  readonly run: (nowMs: number) => void;
}

export class Agenda {
  readonly #heap: Item[] = [];
  #order = 0;

  /** @param periodic it comes again and again at a steady pace, and may be moved on where nothing happens (calm.ts) */
  at(atMs: number, run: (nowMs: number) => void, periodic = false): Entry {
    const item: Item = { atMs, order: this.#order, run, cancelled: false, periodic };
    this.#order += 1;
    this.#heap.push(item);
    this.#up(this.#heap.length - 1);
    return item;
  }

  /** The earliest entry's time, or null when nothing is planned. */
  nextMs(): number | null {
    for (let top = this.#heap[0]; top !== undefined; top = this.#heap[0]) {
      if (!top.cancelled) return top.atMs;
      this.#pop();
    }
    return null;
  }

  /** The earliest entry that is not periodic; Infinity where there is none. O(n). */
  nextFixedMs(): number {
    let earliest = Number.POSITIVE_INFINITY;
    for (const item of this.#heap) if (!item.periodic && !item.cancelled && item.atMs < earliest) earliest = item.atMs;
    return earliest;
  }

  /** Runs everything due, oldest first; what these plan for the past or present runs too. */
  runDue(nowMs: number): void {
    for (let top = this.#heap[0]; top !== undefined && (top.cancelled || top.atMs <= nowMs); top = this.#heap[0]) {
      this.#pop();
      if (!top.cancelled) top.run(nowMs);
    }
  }

  #pop(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#down(0);
  }

  #before(a: number, b: number): boolean {
    const x = this.#heap[a];
    const y = this.#heap[b];
    if (x === undefined || y === undefined) return false;
    return x.atMs < y.atMs || (x.atMs === y.atMs && x.order < y.order);
  }

  #swap(a: number, b: number): void {
    const x = this.#heap[a];
    const y = this.#heap[b];
    if (x === undefined || y === undefined) return;
    this.#heap[a] = y;
    this.#heap[b] = x;
  }

  #up(start: number): void {
    let at = start;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#before(at, parent)) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  #down(start: number): void {
    let at = start;
    for (;;) {
      let least = at;
      if (this.#before(2 * at + 1, least)) least = 2 * at + 1;
      if (this.#before(2 * at + 2, least)) least = 2 * at + 2;
      if (least === at) return;
      this.#swap(at, least);
      at = least;
    }
  }
}
