/**
 * When to give up, for all probes by one timer: items are dropped into buckets and come out when their bucket is due.
 * Knows nothing of what is waiting. Imprecise by up to one bucket; the engine's own deadlines are elsewhere.
 */

/** Width of a bucket. Four wake-ups a second at most, whatever the number of probes. */
const BUCKET_MS = 250;
/** After a stall answers wait in the sockets; libuv reads at most 32 datagrams a pass. So many passes are granted. */
const GRACE_PASSES = 1_000;

export interface Expirable {
  expire(nowMs: number): void;
}

export class Expiry {
  readonly #nowMs: () => number;
  readonly #reads: () => number;
  readonly #buckets = new Map<number, Expirable[]>();
  #timer: NodeJS.Timeout | null = null;
  #immediate: NodeJS.Immediate | null = null;
  #armedBucket = Number.POSITIVE_INFINITY;

  /** `reads` is a running count of what was read from sockets: nothing expires while it still grows. */
  constructor(nowMs: () => number, reads: () => number) {
    this.#nowMs = nowMs;
    this.#reads = reads;
  }

  /** `deadlineMs` on the clock given to the constructor. */
  add(item: Expirable, deadlineMs: number): void {
    const bucket = Math.ceil(deadlineMs / BUCKET_MS);
    const items = this.#buckets.get(bucket);
    if (items === undefined) this.#buckets.set(bucket, [item]);
    else items.push(item);
    if (bucket < this.#armedBucket) this.#arm(bucket);
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#immediate !== null) clearImmediate(this.#immediate);
    this.#timer = null;
    this.#immediate = null;
    this.#buckets.clear();
    this.#armedBucket = Number.POSITIVE_INFINITY;
  }

  #arm(bucket: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#armedBucket = bucket;
    this.#timer = setTimeout(() => this.#grace(GRACE_PASSES), Math.max(1, bucket * BUCKET_MS - this.#nowMs()));
    this.#timer.unref();
  }

  /** After a stop of the process timers may run before the pending reads: let those go first. */
  #grace(passesLeft: number): void {
    const before = this.#reads();
    this.#immediate = setImmediate(() => {
      if (passesLeft > 0 && this.#reads() !== before) this.#grace(passesLeft - 1);
      else this.#expireDue();
    });
  }

  #expireDue(): void {
    this.#timer = null;
    this.#immediate = null;
    this.#armedBucket = Number.POSITIVE_INFINITY;
    const nowMs = this.#nowMs();
    for (const [bucket, items] of [...this.#buckets]) {
      if (bucket * BUCKET_MS > nowMs) continue;
      this.#buckets.delete(bucket);
      for (const item of items) item.expire(nowMs);
    }
    let next = Number.POSITIVE_INFINITY;
    for (const bucket of this.#buckets.keys()) if (bucket < next) next = bucket;
    if (next < this.#armedBucket) this.#arm(next);
  }
}
