/**
 * Echo requests over ping sockets, one socket per path. Matches answers and errors to probes; judges nothing.
 * Must not know the routing, nor what a lost probe means. icmp(7), ip(7) IP_RECVERR.
 */
import { randomFillSync } from 'node:crypto';
import type { RemoteInfo, Socket } from 'node:dgram';
import type { PathKey } from '../core/model.js';
import type { ProbeAsk, ProbePath } from '../core/probe.js';
import { canonicalAddress } from './address.js';
import { openDatagram } from './datagram.js';
import { breaksSocket, codeOf, type Failure, openFailure, queuedFailure, sendFailure } from './errors.js';
import type { Expirable } from './expiry.js';
import type { ProbeHost, ProbeKind } from './host.js';
import { ECHO_BYTES, echoReplySequence, parseQuotedEcho, sameToken, writeEchoHeader } from './icmp-packet.js';
import type { SocketSpec } from './sockets.js';

const SEQUENCES = 0x10000;
/** 'error' events in a row that left nothing in the error queue: by then the socket itself is at fault. */
const MAX_EMPTY_ERRORS = 16;
/** Addresses whose spelling is remembered per socket; more than any configuration has targets. */
const MAX_SPELLINGS = 4096;
/** dgram wants a port; ping sockets ignore it. */
const ANY_PORT = 1;

/** Packets cut from one block of random bytes: the header is written over the first 8 of each, the rest is its token. */
class PacketPool {
  static readonly #PACKETS = 512;
  #block = Buffer.alloc(0);
  #at = 0;

  take(): Buffer {
    if (this.#at >= this.#block.length) {
      this.#block = randomFillSync(Buffer.allocUnsafeSlow(PacketPool.#PACKETS * ECHO_BYTES));
      this.#at = 0;
    }
    const start = this.#at;
    this.#at += ECHO_BYTES;
    return this.#block.subarray(start, this.#at);
  }
}

/** One echo under way, or answered and kept so that a second answer is known as such. */
class Echo implements Expirable {
  readonly session: IcmpSession;
  readonly id: number;
  readonly sequence: number;
  readonly packet: Buffer;
  readonly to: string;
  sentMs: number;
  state: 'waiting' | 'failed' | 'answered' = 'waiting';

  constructor(session: IcmpSession, id: number, sequence: number, packet: Buffer, to: string, sentMs: number) {
    this.session = session;
    this.id = id;
    this.sequence = sequence;
    this.packet = packet;
    this.to = to;
    this.sentMs = sentMs;
  }

  expire(nowMs: number): void {
    this.session.expire(this, nowMs);
  }
}

/** One ping socket and what is outstanding on it. */
class IcmpSession {
  readonly path: ProbePath;
  readonly #host: ProbeHost;
  readonly #pool: PacketPool;
  readonly #fd: number;
  readonly #socket: Socket;
  /** by sequence number: an error may quote no more of a probe than that */
  readonly #echoes = new Map<number, Echo>();
  readonly #spellings = new Map<string, string | null>();
  #nextSequence = Math.floor(Math.random() * SEQUENCES);
  #emptyErrors = 0;
  closed = false;

  /** Throws an Error with `code` where no socket can be had. */
  constructor(host: ProbeHost, pool: PacketPool, path: ProbePath) {
    this.path = path;
    this.#host = host;
    this.#pool = pool;
    const { socket, fd } = openDatagram(host.sockets, specOf(path), (opened) => {
      opened.on('message', (message, from) => this.#onMessage(message, from));
      opened.on('error', (error) => this.#onError(codeOf(error)));
    });
    this.#socket = socket;
    this.#fd = fd;
  }

  ask(ask: ProbeAsk): void {
    const to = this.#spell(ask.address);
    if (to === null) {
      const detail = `${ask.address} is no IPv${this.path.family} address`;
      this.#host.failLater(ask, { reason: 'local-fault', detail });
      return;
    }
    const sequence = this.#takeSequence();
    const packet = this.#pool.take();
    writeEchoHeader(packet, this.path.family, sequence);
    const nowMs = this.#host.nowMs();
    const echo = new Echo(this, ask.id, sequence, packet, to, nowMs);
    this.#echoes.set(sequence, echo);
    this.#host.expiry.add(echo, nowMs + ask.giveUpMs);
    this.#send(echo, true);
  }

  expire(echo: Echo, nowMs: number): void {
    if (this.#echoes.get(echo.sequence) !== echo) return;
    this.#echoes.delete(echo.sequence);
    if (echo.state === 'waiting') this.#fail(echo, { reason: 'timeout', detail: 'no answer' }, nowMs);
  }

  /** Closes without a word about the probes under way. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.#echoes.clear();
    this.#socket.close();
  }

  #spell(address: string): string | null {
    const known = this.#spellings.get(address);
    if (known !== undefined) return known;
    if (this.#spellings.size >= MAX_SPELLINGS) this.#spellings.clear();
    const spelling = canonicalAddress(address, this.path.family, this.path.interface);
    this.#spellings.set(address, spelling);
    return spelling;
  }

  /** Who holds the number still is the oldest of 65,536: the number is worth more than its late answer or duplicate. */
  #takeSequence(): number {
    const sequence = this.#nextSequence;
    this.#nextSequence = (sequence + 1) % SEQUENCES;
    const holder = this.#echoes.get(sequence);
    if (holder?.state === 'waiting') {
      const detail = `no answer within the ${SEQUENCES} probes sent after it`;
      this.#host.failLater({ id: holder.id, path: this.path }, { reason: 'timeout', detail });
    }
    return sequence;
  }

  #send(echo: Echo, first: boolean): void {
    this.#socket.send(echo.packet, ANY_PORT, echo.to, (error) => {
      if (error !== null && error !== undefined) this.#onSendError(echo, codeOf(error), first);
    });
  }

  /**
   * A pending error of an earlier probe is handed to whoever calls the socket next, so the first failure need not be
   * this probe's: the queue is emptied and the probe sent again. Without that the earlier one's "unreachable" would be
   * told of this one, and the queue would stay full unseen, with the loop spinning on it.
   */
  #onSendError(echo: Echo, code: string, first: boolean): void {
    if (this.closed) return;
    this.#drain();
    if (this.closed || this.#echoes.get(echo.sequence) !== echo) return;
    if (first && !breaksSocket(code)) {
      echo.sentMs = this.#host.nowMs();
      this.#send(echo, false);
      return;
    }
    if (breaksSocket(code)) {
      this.#break(code);
      return;
    }
    this.#echoes.delete(echo.sequence);
    if (echo.state === 'waiting') this.#fail(echo, sendFailure(code), this.#host.nowMs());
  }

  #onMessage(message: Buffer, from: RemoteInfo): void {
    if (this.closed) return;
    this.#host.countRead();
    const sequence = echoReplySequence(message, this.path.family);
    const echo = sequence < 0 ? undefined : this.#echoes.get(sequence);
    if (echo === undefined || from.address !== echo.to || !sameToken(echo.packet, message)) return;
    const nowMs = this.#host.nowMs();
    const duplicate = echo.state === 'answered';
    echo.state = 'answered';
    this.#host.report({ kind: 'answered', id: echo.id, rttMs: nowMs - echo.sentMs, duplicate, note: null }, nowMs);
  }

  #onError(code: string): void {
    if (this.closed) return;
    this.#host.countRead();
    if (this.#drain() > 0) {
      this.#emptyErrors = 0;
      return;
    }
    this.#emptyErrors++;
    if (breaksSocket(code) || this.#emptyErrors >= MAX_EMPTY_ERRORS) this.#break(code);
  }

  /** Empties the error queue, which nobody else reads: what stays in it keeps the loop at 100 % CPU. Returns how many there were. */
  #drain(): number {
    let entries: ReturnType<ProbeHost['sockets']['drainErrors']>;
    try {
      entries = this.#host.sockets.drainErrors(this.#fd);
    } catch (error) {
      this.#break(codeOf(error));
      return 0;
    }
    for (const entry of entries) {
      if (this.closed) break;
      const failure = queuedFailure(entry, this.path.family);
      const quoted = parseQuotedEcho(entry.quoted, this.path.family);
      if (failure === null || quoted === null) continue;
      const echo = this.#echoes.get(quoted.sequence);
      if (echo === undefined || echo.state !== 'waiting') continue;
      if (quoted.whole && !sameToken(echo.packet, entry.quoted)) continue;
      this.#fail(echo, failure, this.#host.nowMs());
    }
    return entries.length;
  }

  /** The socket is of no use any more. Its probes are told so; the next ask opens a new one. */
  #break(code: string): void {
    const waiting = [...this.#echoes.values()].filter((echo) => echo.state === 'waiting');
    this.close();
    for (const echo of waiting) this.#fail(echo, sendFailure(code), this.#host.nowMs());
  }

  /** A late answer may still come and repair it: the echo stays until it expires. */
  #fail(echo: Echo, failure: Failure, nowMs: number): void {
    echo.state = 'failed';
    this.#host.report({ kind: 'failed', id: echo.id, reason: failure.reason, detail: failure.detail }, nowMs);
  }
}

function specOf(path: ProbePath): SocketSpec {
  return { family: path.family, kind: 'icmp', mark: path.mark, device: path.device };
}

function sameSocket(a: ProbePath, b: ProbePath): boolean {
  return a.family === b.family && a.mark === b.mark && a.device === b.device && a.interface === b.interface;
}

export class IcmpProbes implements ProbeKind {
  readonly #host: ProbeHost;
  readonly #pool = new PacketPool();
  readonly #sessions = new Map<PathKey, IcmpSession>();

  constructor(host: ProbeHost) {
    this.#host = host;
  }

  ask(ask: ProbeAsk): void {
    let session = this.#sessions.get(ask.path.key);
    if (session !== undefined && !session.closed && !sameSocket(session.path, ask.path)) session.close();
    if (session === undefined || session.closed) {
      try {
        session = new IcmpSession(this.#host, this.#pool, ask.path);
      } catch (error) {
        this.#sessions.delete(ask.path.key);
        this.#host.failLater(ask, openFailure(codeOf(error), specOf(ask.path)));
        return;
      }
      this.#sessions.set(ask.path.key, session);
    }
    session.ask(ask);
  }

  forget(path: PathKey): void {
    this.#sessions.get(path)?.close();
    this.#sessions.delete(path);
  }

  close(): void {
    for (const path of [...this.#sessions.keys()]) this.forget(path);
  }
}
