/**
 * A loop around ppoll for the lab's helper processes: descriptors, one deadline, nanoseconds. It blocks this thread for
 * good: Node's own event loop, its timers and its signal handlers never run meanwhile (SIGTERM's default still ends us).
 */
import { monotonicMs } from './clock.js';
import { POLLIN, POLLOUT, poll } from './libc.js';

interface Watch {
  readonly fd: number;
  readonly onReady: () => void;
  wantsWrite: boolean;
}

const POLLFD_BYTES = 8;

export class FdLoop {
  readonly #watches = new Map<number, Watch>();
  readonly #timespec = Buffer.alloc(16);
  #pollfds = Buffer.alloc(0);
  #order: Watch[] = [];
  #stale = true;
  #stopped = false;

  /** Calls back while `fd` is readable, or writable where asked for; at its end or error too. */
  watch(fd: number, onReady: () => void): void {
    this.#watches.set(fd, { fd, onReady, wantsWrite: false });
    this.#stale = true;
  }

  setWantsWrite(fd: number, wantsWrite: boolean): void {
    const watch = this.#watches.get(fd);
    if (watch === undefined || watch.wantsWrite === wantsWrite) return;
    watch.wantsWrite = wantsWrite;
    this.#stale = true;
  }

  unwatch(fd: number): void {
    this.#watches.delete(fd);
    this.#stale = true;
  }

  stop(): void {
    this.#stopped = true;
  }

  /** `work(now)` does what is due and returns the monotonic time of the next deadline (Infinity = none). Returns after stop(). */
  run(work: (nowMs: number) => number): void {
    while (!this.#stopped) {
      const dueMs = work(monotonicMs());
      if (this.#stopped) return;
      if (this.#stale) this.#rebuild();
      const ready = poll(this.#pollfds, this.#order.length, Math.max(0, dueMs - monotonicMs()), this.#timespec);
      if (ready === 0) continue;
      // A handler may unwatch others: those are skipped, the array of this round stays.
      const order = this.#order;
      const pollfds = this.#pollfds;
      for (let at = 0; at < order.length; at++) {
        const watch = order[at];
        if (watch === undefined || pollfds.readUInt16LE(at * POLLFD_BYTES + 6) === 0) continue;
        if (this.#watches.get(watch.fd) === watch) watch.onReady();
      }
    }
  }

  #rebuild(): void {
    this.#order = [...this.#watches.values()];
    this.#pollfds = Buffer.alloc(this.#order.length * POLLFD_BYTES);
    this.#order.forEach((watch, at) => {
      this.#pollfds.writeInt32LE(watch.fd, at * POLLFD_BYTES);
      this.#pollfds.writeUInt16LE(POLLIN | (watch.wantsWrite ? POLLOUT : 0), at * POLLFD_BYTES + 4);
    });
    this.#stale = false;
  }
}
