/**
 * What is under way to the engine: outcomes of probes, the earliest first, those of one instant in the order of asking. Answers mostly
 * come in the order in which they were asked for, so each finds its place near the end: O(1), at worst O(n).
 */
export interface Arrival {
  readonly atMs: number;
  readonly id: number;
  /** null = it was given up */
  readonly rttMs: number | null;
}

export class Arrivals {
  #list: Arrival[] = [];
  #head = 0;

  get nextMs(): number {
    return this.#list[this.#head]?.atMs ?? Number.POSITIVE_INFINITY;
  }

  add(arrival: Arrival): void {
    const list = this.#list;
    let at = list.length;
    for (; at > this.#head && (list[at - 1]?.atMs ?? 0) > arrival.atMs; at -= 1);
    if (at === list.length) list.push(arrival);
    else list.splice(at, 0, arrival);
  }

  take(): Arrival | undefined {
    const first = this.#list[this.#head];
    if (first === undefined) return undefined;
    this.#head += 1;
    if (this.#head === this.#list.length) this.#clear();
    else if (this.#head > 1000) this.#cut();
    return first;
  }

  #clear(): void {
    this.#list.length = 0;
    this.#head = 0;
  }

  #cut(): void {
    this.#list = this.#list.slice(this.#head);
    this.#head = 0;
  }
}
