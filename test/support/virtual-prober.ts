/**
 * The prober of a virtual world: sends each probe as the fake kernel would route it, and brings back what the far side
 * makes of it. Counts probes that took another uplink than theirs.
 */
import type { Event } from '../../src/core/messages.js';
import { type LossReason, type PathKey, pathKey } from '../../src/core/model.js';
import type { ProbeAsk } from '../../src/core/probe.js';
import type { FakeKernel } from './fake-kernel.js';
import type { FarAnswer, FarSide } from './far-side.js';
import type { Random } from './random.js';

export interface VirtualProberPort {
  readonly kernel: FakeKernel;
  readonly random: Random;
  now(): number;
  /** the uplink behind a next hop; null = nobody is there */
  farBehind(device: string, gateway: string | null): FarSide | null;
  carries(far: FarSide): boolean;
  /** runs in the process after this delay, ms */
  later(delayMs: number, run: () => void): void;
  deliver(event: Event): void;
  note(text: string): void;
}

export class VirtualProber {
  /** probes that left through another uplink than theirs */
  leaks = 0;
  /** probes sent, by path */
  readonly sent = new Map<PathKey, number>();
  readonly #port: VirtualProberPort;
  readonly #forgotten = new Map<PathKey, number>();

  constructor(port: VirtualProberPort) {
    this.#port = port;
  }

  forget(path: PathKey): void {
    this.#forgotten.set(path, this.#port.now());
  }

  /** Nothing that is under way arrives: the machine slept. */
  loseAll(): void {
    for (const path of this.sent.keys()) this.forget(path);
  }

  /** A new process has new sockets. */
  reset(): void {
    this.#forgotten.clear();
  }

  send(ask: ProbeAsk): void {
    const key = ask.path.key;
    this.sent.set(key, (this.sent.get(key) ?? 0) + 1);
    const answer = this.#reaction(ask);
    // as the prober: what is still unanswered in the end is told as a timeout
    if (answer === null || answer.delayMs > ask.giveUpMs) {
      this.#fail(ask, ask.giveUpMs, 'timeout', 'no answer');
      return;
    }
    if (answer.kind === 'failure') {
      this.#fail(ask, answer.delayMs, answer.reason, 'told by a router');
      return;
    }
    const sentMs = this.#port.now();
    for (let copy = 0; copy < answer.copies; copy += 1) {
      this.#port.later(answer.delayMs + copy, () => {
        // measured when it is read: a stall makes it look late, as in the real process
        const rttMs = this.#port.now() - sentMs;
        this.#outcome(ask, sentMs, { type: 'probe-answered', id: ask.id, rttMs, duplicate: copy > 0, note: null });
      });
    }
  }

  #fail(ask: ProbeAsk, delayMs: number, reason: LossReason, detail: string): void {
    const sentMs = this.#port.now();
    const event: Event = { type: 'probe-failed', id: ask.id, reason, detail };
    this.#port.later(delayMs, () => this.#outcome(ask, sentMs, event));
  }

  /** What kernel and far side make of a probe; null = silence. */
  #reaction(ask: ProbeAsk): FarAnswer | null {
    const verdict = this.#port.kernel.lookup(ask.address, ask.path.mark, ask.path.device);
    if (verdict === 'silent') return null;
    if (verdict === 'refused') return { kind: 'failure', delayMs: 0, reason: 'no-route' };
    const far = this.#port.farBehind(this.#port.kernel.linkName(verdict.hop.ifindex), verdict.hop.gateway ?? ask.address);
    if (far === null) return null;
    if (ask.path.key !== pathKey(far.name, ask.path.family)) {
      this.leaks += 1;
      this.#port.note(`LEAK: a probe of ${ask.path.key} to ${ask.address} left through ${far.name}`);
    }
    return this.#port.carries(far) ? far.ask(ask.address, this.#port.random) : null;
  }

  #outcome(ask: ProbeAsk, sentMs: number, event: Event): void {
    const forgotten = this.#forgotten.get(ask.path.key);
    if (forgotten !== undefined && forgotten >= sentMs) return;
    this.#port.deliver(event);
  }
}
