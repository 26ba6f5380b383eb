/**
 * One question to one target through one uplink: hands each ask to its kind of probe and passes the outcomes on.
 * Must not know what an outcome means, nor which uplink is in use. See core/probe.ts for the contract.
 */
import type { PathKey } from '../core/model.js';
import type { ProbeAsk, ProbeOutcome, Prober } from '../core/probe.js';
import { DnsProbes } from './dns.js';
import type { Failure } from './errors.js';
import { Expiry } from './expiry.js';
import type { AskedBy, ProbeHost, ProbeKind } from './host.js';
import { HttpProbes } from './http.js';
import { IcmpProbes } from './icmp.js';
import type { ProbeSockets } from './sockets.js';
import { TcpProbes } from './tcp.js';

export interface ProberOptions {
  /** the clock of the outcomes; default performance.now() */
  readonly nowMs?: () => number;
  /** PEM certificates that https probes trust instead of those Node ships */
  readonly ca?: readonly string[];
}

/**
 * `onOutcome` is told each outcome with the time of its arrival, on the clock of `options.nowMs`, never while ask() runs.
 * `giveUpMs` of an ask counts from the ask; a probe without an answer is then reported as 'timeout' (up to 0.25 s late).
 * The outcomes of one probe: answered, or failed, or failed and then answered (an answer after an error repairs it);
 * after answered only duplicates. Sockets are opened with the first ask of a path and stay until forget() or close().
 */
export function createProber(
  sockets: ProbeSockets,
  onOutcome: (outcome: ProbeOutcome, nowMs: number) => void,
  options: ProberOptions = {},
): Prober {
  return new DispatchingProber(sockets, onOutcome, options);
}

class DispatchingProber implements Prober {
  readonly #host: ProbeHost;
  readonly #options: ProberOptions;
  readonly #onOutcome: (outcome: ProbeOutcome, nowMs: number) => void;
  readonly #kinds = new Map<ProbeAsk['question']['kind'], ProbeKind>();
  #deferred: { readonly ask: AskedBy; readonly failure: Failure }[] = [];
  #reads = 0;
  #readsTaken = 0;
  #closed = false;

  constructor(sockets: ProbeSockets, onOutcome: (outcome: ProbeOutcome, nowMs: number) => void, options: ProberOptions) {
    this.#onOutcome = onOutcome;
    this.#options = options;
    const nowMs = options.nowMs ?? (() => performance.now());
    this.#host = {
      sockets,
      nowMs,
      expiry: new Expiry(nowMs, () => this.#reads),
      report: (outcome, atMs) => {
        if (!this.#closed) this.#onOutcome(outcome, atMs);
      },
      failLater: (ask, failure) => this.#failLater(ask, failure),
      countRead: () => {
        this.#reads++;
      },
    };
  }

  ask(ask: ProbeAsk): void {
    if (this.#closed) return;
    try {
      this.#kindOf(ask.question.kind).ask(ask);
    } catch (error) {
      // The kinds handle what can be foreseen; whatever else happens must not stop the loop.
      const detail = `probe failed: ${error instanceof Error ? error.message : String(error)}`;
      this.#failLater(ask, { reason: 'local-fault', detail });
    }
  }

  forget(path: PathKey): void {
    this.#deferred = this.#deferred.filter((entry) => entry.ask.path.key !== path);
    for (const kind of this.#kinds.values()) kind.forget(path);
  }

  takeReadCount(): number {
    const count = this.#reads - this.#readsTaken;
    this.#readsTaken = this.#reads;
    return count;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#deferred = [];
    for (const kind of this.#kinds.values()) kind.close();
    this.#host.expiry.close();
  }

  #kindOf(kind: ProbeAsk['question']['kind']): ProbeKind {
    let probes = this.#kinds.get(kind);
    if (probes === undefined) {
      probes = makeKind(kind, this.#host, this.#options);
      this.#kinds.set(kind, probes);
    }
    return probes;
  }

  #failLater(ask: AskedBy, failure: Failure): void {
    if (this.#deferred.length === 0) process.nextTick(() => this.#reportDeferred());
    this.#deferred.push({ ask, failure });
  }

  #reportDeferred(): void {
    // One by one: an outcome may lead to forget(), which drops others of this list.
    for (let entry = this.#deferred.shift(); entry !== undefined; entry = this.#deferred.shift()) {
      const { reason, detail } = entry.failure;
      this.#host.report({ kind: 'failed', id: entry.ask.id, reason, detail }, this.#host.nowMs());
    }
  }
}

function makeKind(kind: ProbeAsk['question']['kind'], host: ProbeHost, options: ProberOptions): ProbeKind {
  switch (kind) {
    case 'icmp':
      return new IcmpProbes(host);
    case 'tcp':
      return new TcpProbes(host);
    case 'http':
      return new HttpProbes(host, options.ca ?? null);
    case 'dns':
      return new DnsProbes(host);
  }
}
