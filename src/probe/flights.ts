/**
 * Probes that have a socket of their own (tcp, http, dns): one record each, settled once, its resources given back once.
 * Knows nothing of what the socket speaks.
 */
import type { PathKey } from '../core/model.js';
import type { ProbeAsk } from '../core/probe.js';
import type { Failure } from './errors.js';
import type { Expirable } from './expiry.js';
import type { ProbeHost } from './host.js';

export class Flight implements Expirable {
  readonly ask: ProbeAsk;
  readonly sentMs: number;
  /** what a probe that runs out of time saw of the far end; null = nothing */
  hint: string | null = null;
  readonly #flights: Flights;
  readonly #host: ProbeHost;
  #cleanup: (() => void) | null = null;
  #settled = false;

  constructor(flights: Flights, host: ProbeHost, ask: ProbeAsk) {
    this.#flights = flights;
    this.#host = host;
    this.ask = ask;
    this.sentMs = host.nowMs();
  }

  get settled(): boolean {
    return this.#settled;
  }

  /** What gives the resources back, called exactly once. */
  onEnd(cleanup: () => void): void {
    if (this.#settled) cleanup();
    else this.#cleanup = cleanup;
  }

  answered(note: string | null): void {
    if (this.#settled) return;
    const nowMs = this.#host.nowMs();
    this.end();
    this.#host.report({ kind: 'answered', id: this.ask.id, rttMs: nowMs - this.sentMs, duplicate: false, note }, nowMs);
  }

  failed(failure: Failure): void {
    if (this.#settled) return;
    this.end();
    const { reason, detail } = failure;
    this.#host.report({ kind: 'failed', id: this.ask.id, reason, detail }, this.#host.nowMs());
  }

  expire(): void {
    this.failed({ reason: 'timeout', detail: this.hint ?? 'no answer' });
  }

  /** Without a word. */
  end(): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#flights.remove(this);
    const cleanup = this.#cleanup;
    this.#cleanup = null;
    cleanup?.();
  }
}

export class Flights {
  readonly #host: ProbeHost;
  readonly #flights = new Set<Flight>();

  constructor(host: ProbeHost) {
    this.#host = host;
  }

  start(ask: ProbeAsk): Flight {
    const flight = new Flight(this, this.#host, ask);
    this.#flights.add(flight);
    this.#host.expiry.add(flight, flight.sentMs + ask.giveUpMs);
    return flight;
  }

  remove(flight: Flight): void {
    this.#flights.delete(flight);
  }

  forget(path: PathKey): void {
    for (const flight of [...this.#flights]) if (flight.ask.path.key === path) flight.end();
  }

  close(): void {
    for (const flight of [...this.#flights]) flight.end();
  }
}
