/**
 * What will happen, in order of time; at the same instant lower ranks first, then in the order of asking. A binary heap.
 */
interface Entry {
  readonly atMs: number;
  readonly rank: number;
  readonly order: number;
  readonly run: () => void;
  cancelled: boolean;
}

export interface Ticket {
  cancel(): void;
}

export class EventQueue {
  #heap: Entry[] = [];
  #order = 0;

  add(atMs: number, rank: number, run: () => void): Ticket {
    const entry: Entry = { atMs, rank, order: this.#order, run, cancelled: false };
    this.#order += 1;
    this.#heap.push(entry);
    this.#up(this.#heap.length - 1);
    return {
      cancel: () => {
        entry.cancelled = true;
      },
    };
  }

  /** The next thing due by `untilMs`, taken out; null when there is none. */
  take(untilMs: number): { readonly atMs: number; readonly run: () => void } | null {
    for (;;) {
      const top = this.#heap[0];
      if (top === undefined || top.atMs > untilMs) return null;
      const last = this.#heap.pop();
      if (last !== undefined && this.#heap.length > 0) {
        this.#heap[0] = last;
        this.#down();
      }
      if (!top.cancelled) return top;
    }
  }

  #up(start: number): void {
    let index = start;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.#swapIfBefore(index, parent)) return;
      index = parent;
    }
  }

  #down(): void {
    let index = 0;
    for (;;) {
      let least = index;
      for (const child of [2 * index + 1, 2 * index + 2]) if (this.#before(child, least)) least = child;
      if (least === index || !this.#swapIfBefore(least, index)) return;
      index = least;
    }
  }

  #before(a: number, b: number): boolean {
    const left = this.#heap[a];
    const right = this.#heap[b];
    if (left === undefined || right === undefined) return false;
    return (left.atMs - right.atMs || left.rank - right.rank || left.order - right.order) < 0;
  }

  #swapIfBefore(a: number, b: number): boolean {
    const left = this.#heap[a];
    const right = this.#heap[b];
    if (left === undefined || right === undefined || !this.#before(a, b)) return false;
    this.#heap[a] = right;
    this.#heap[b] = left;
    return true;
  }
}
