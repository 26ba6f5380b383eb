/**
 * Reads what `ping -D` of iputils prints, IPv4 and IPv6, in any language: a reply is a line with a time stamp, `icmp_seq=` and a
 * round trip; lost is the sequence number that never came. A reply was sent its round trip before its stamp. Where none came at all,
 * the lines that say so (`-O`, or errors) tell from when to when.
 */
import type { Link } from '../link.js';
import type { RecordReader } from './csv.js';
import { LATE_MS, ProbeCutter, UNWATCHED_MS } from './cut.js';
import { SourceError, shown } from './problem.js';
import { isTime, isTooLong, yearsText } from './times.js';

const STAMP = /^\[(\d+(?:\.\d+)?)\] /;
/** `time=`, `Zeit=`, `temps=`; `time<1 ms` of old versions. What follows (DUP!, truncated) does not matter. */
const ROUND_TRIP = /icmp_seq=(\d+)(?: ttl=\d+)? [^=<]*[=<](-?\d+(?:\.\d+)?) ms/;
const SEQUENCE = /icmp_seq=(\d+)/;
const HEADER = /^PING \S/;
const STATISTICS = /^--- .* ---$/;
const TRANSMITTED = /^(\d+) /;
/** The number in a packet has 16 bits. */
const WRAP = 65_536;
/** So many replies one after the other say how far apart the probes are. */
const INTERVALS = 101;
const USUAL_INTERVAL_MS = 1_000;

/** The first bytes of a file look like ping's output. */
export function looksLikePing(head: string): boolean {
  return HEADER.test(head) || /^(\[\d+(\.\d+)?\] )?.*icmp_seq=\d+/m.test(head);
}

interface Reply {
  /** without wraps */
  readonly sequence: number;
  readonly sentMs: number;
  readonly rttMs: number;
}

export class PingReader implements RecordReader {
  readonly notes: string[] = [];
  readonly #cutter: ProbeCutter;
  readonly #intervals: number[] = [];
  /** replies that an earlier probe's may still overtake, ordered by sequence */
  #pending: Reply[] = [];
  /** the last that went to the cutter */
  #former: Reply | null = null;
  #originMs = Number.NaN;
  /** of the newest line with a stamp, on the axis */
  #stampMs = Number.NEGATIVE_INFINITY;
  /** of this run, replies or not */
  #first: { readonly sequence: number; readonly atMs: number } | null = null;
  #newest: { readonly sequence: number; readonly atMs: number } | null = null;
  #intervalMs = USUAL_INTERVAL_MS;
  #fromHeader = false;
  #paused = false;
  #inStatistics = false;
  #strange = 0;
  #firstStrange = 0;

  constructor(private readonly name: string) {
    this.#cutter = new ProbeCutter(name);
  }

  line(bytes: Buffer, from: number, to: number, line: number): void {
    const text = bytes.toString('latin1', from, to);
    const stamp = STAMP.exec(text);
    if (stamp !== null) {
      const wallMs = 1000 * Number(stamp[1]);
      if (!isTime(wallMs)) {
        const found = shown(stamp[1] ?? '');
        throw new SourceError(
          `${this.name}:${line}: the time stamp ${found} is no time in seconds`,
          'Wanted: Unix time, as ping -D prints.',
        );
      }
      const reply = ROUND_TRIP.exec(text);
      const sequence = reply?.[1] ?? SEQUENCE.exec(text)?.[1];
      // `From ...: Time to live exceeded` of old versions has no number: it says nothing about one probe.
      if (sequence === undefined) return;
      if (Number.isNaN(this.#originMs)) this.#originMs = wallMs - (reply === null ? 0 : Number(reply[2]));
      this.#stamped(wallMs - this.#originMs, Number(sequence), reply === null ? null : Number(reply[2]), line);
      return;
    }
    if (HEADER.test(text)) this.#restart();
    else if (STATISTICS.test(text)) this.#inStatistics = true;
    else if (this.#inStatistics && TRANSMITTED.test(text)) this.#transmitted(Number(TRANSMITTED.exec(text)?.[1]));
    else if (ROUND_TRIP.test(text)) {
      throw new SourceError(`${this.name}:${line}: no time stamp in ${shown(text)}`, 'Record with ping -D, which prints them.');
    } else if (!this.#inStatistics && !SEQUENCE.test(text)) {
      if (this.#strange === 0) this.#firstStrange = line;
      this.#strange += 1;
    }
  }

  link(originWallMs: number | null): Link {
    this.#flush();
    this.#lostAtEnd();
    if (this.#cutter.count === 0) {
      throw new SourceError(
        `${this.name}: neither replies nor missing ones with a time stamp`,
        'Record with ping -D -O, which prints them.',
      );
    }
    if (this.#strange > 0) {
      this.notes.push(
        `${this.name}: ${this.#strange} line(s) are not ping's and were left out, the first is line ${this.#firstStrange}`,
      );
    }
    return this.#cutter.link(Number.isNaN(this.#originMs) ? originWallMs : this.#originMs);
  }

  /** @param rttMs null = the line says that there was no answer yet */
  #stamped(stampMs: number, number: number, rttMs: number | null, line: number): void {
    if (rttMs !== null && rttMs < 0) throw new SourceError(`${this.name}:${line}: a negative round trip, ${rttMs} ms`);
    // Seconds may be missing from the order (a machine's clock is set), but not many.
    if (stampMs < this.#stampMs - LATE_MS) {
      const backMs = Math.round(this.#stampMs - stampMs);
      throw new SourceError(`${this.name}:${line}: time runs backwards by ${backMs / 1000} s`);
    }
    if (Number.isFinite(this.#stampMs) && isTooLong(stampMs - this.#stampMs)) {
      throw new SourceError(
        `${this.name}:${line}: time jumps by ${yearsText(stampMs - this.#stampMs)}`,
        "The machine's clock was set: give the part behind it.",
      );
    }
    this.#stampMs = Math.max(this.#stampMs, stampMs);
    const sentMs = stampMs - (rttMs ?? 0);
    const sequence = this.#unwrapped(number, sentMs);
    this.#first ??= { sequence, atMs: sentMs };
    if (this.#newest === null || sequence > this.#newest.sequence) this.#newest = { sequence, atMs: sentMs };
    if (rttMs === null) return;
    // Nearly always at the end. A second reply to one probe says nothing new.
    let at = this.#pending.length;
    while (at > 0 && (this.#pending[at - 1]?.sequence ?? 0) > sequence) at -= 1;
    if (this.#pending[at - 1]?.sequence === sequence || sequence <= (this.#former?.sequence ?? Number.NEGATIVE_INFINITY)) return;
    this.#pending.splice(at, 0, { sequence, sentMs, rttMs });
    this.#settle(stampMs - LATE_MS);
  }

  /** The number with its wraps: the nearest to the former one, or where many were lost in between, to what the time says. */
  #unwrapped(number: number, sentMs: number): number {
    const former = this.#newest;
    if (former === null) return number;
    const step = ((((number - former.sequence) % WRAP) + WRAP + WRAP / 2) % WRAP) - WRAP / 2;
    const expected = (sentMs - former.atMs) / this.#intervalMs;
    return former.sequence + step + WRAP * Math.max(0, Math.round((expected - step) / WRAP));
  }

  /** Hands on what was sent before this moment: a later answer to an earlier probe would be lost anyway. */
  #settle(beforeMs: number): void {
    let settled = 0;
    for (const reply of this.#pending) {
      if (reply.sentMs >= beforeMs) break;
      this.#take(reply);
      settled += 1;
    }
    if (settled > 0) this.#pending = this.#pending.slice(settled);
  }

  #take(reply: Reply): void {
    const former = this.#former;
    this.#former = reply;
    if (former === null) {
      // Behind a header ping counts from 1.
      const lost = this.#fromHeader ? Math.max(0, reply.sequence - 1) : 0;
      const firstMs = reply.sentMs - lost * this.#intervalMs;
      if (this.#paused) this.#cutter.pause(firstMs);
      this.#paused = false;
      this.#lost(firstMs, lost);
    } else {
      const steps = reply.sequence - former.sequence;
      const apartMs = (reply.sentMs - former.sentMs) / steps;
      if (steps === 1 && apartMs > 0) this.#learnInterval(apartMs);
      // Where the machine slept, time went on and numbers did not: what was lost was lost before.
      const asleep = apartMs > Math.max(UNWATCHED_MS, 2 * this.#intervalMs);
      const stepMs = asleep ? this.#intervalMs : apartMs;
      this.#lost(former.sentMs + stepMs, steps - 1, stepMs);
    }
    this.#cutter.probe(Math.max(reply.sentMs, former?.sentMs ?? Number.NEGATIVE_INFINITY), reply.rttMs);
  }

  /** The median of the first ones: where it is not known yet, from those so far. */
  #learnInterval(apartMs: number): void {
    if (this.#intervals.length >= INTERVALS) return;
    this.#intervals.push(apartMs);
    this.#intervalMs = this.#intervals.toSorted((a, b) => a - b)[this.#intervals.length >> 1] ?? USUAL_INTERVAL_MS;
  }

  #lost(fromMs: number, count: number, stepMs = this.#intervalMs): void {
    // The cutter only needs to know where a run of lost ones begins, that it was watched, and where it ends.
    const stride = Math.max(1, Math.floor(UNWATCHED_MS / 2 / stepMs));
    for (let i = 0; i < count; i += stride) this.#cutter.probe(fromMs + i * stepMs, Number.NaN);
    if (count > 1 && (count - 1) % stride !== 0) this.#cutter.probe(fromMs + (count - 1) * stepMs, Number.NaN);
  }

  #flush(): void {
    for (const reply of this.#pending) this.#take(reply);
    this.#pending = [];
  }

  /** The statistics count those that were never answered, too. The very last may have been on its way. */
  #transmitted(count: number): void {
    const newest = this.#newest;
    if (newest === null || !this.#fromHeader || count - 1 <= newest.sequence) return;
    this.#newest = { sequence: count - 1, atMs: newest.atMs + (count - 1 - newest.sequence) * this.#paceMs };
  }

  /** Of a run that was never answered, by the lines that say so. */
  get #paceMs(): number {
    const [first, newest] = [this.#first, this.#newest];
    if (this.#former !== null || first === null || newest === null) return this.#intervalMs;
    const steps = newest.sequence - first.sequence;
    return steps > 0 && newest.atMs > first.atMs ? (newest.atMs - first.atMs) / steps : this.#intervalMs;
  }

  #lostAtEnd(): void {
    const former = this.#former;
    if (former === null) this.#neverAnswered();
    if (former === null || this.#newest === null || this.#newest.sequence <= former.sequence) return;
    this.#lost(former.sentMs + this.#intervalMs, this.#newest.sequence - former.sequence);
  }

  #neverAnswered(): void {
    const [first, newest, paceMs] = [this.#first, this.#newest, this.#paceMs];
    if (first === null || newest === null) return;
    const before = this.#fromHeader ? Math.max(0, first.sequence - 1) : 0;
    const fromMs = first.atMs - before * paceMs;
    if (this.#paused) this.#cutter.pause(fromMs);
    this.#paused = false;
    this.#lost(fromMs, before + newest.sequence - first.sequence + 1, paceMs);
  }

  /** Another ping in the same file: it counts from 1 again, and between the two nobody watched. */
  #restart(): void {
    this.#flush();
    this.#lostAtEnd();
    this.#inStatistics = false;
    this.#former = null;
    this.#first = null;
    this.#newest = null;
    this.#fromHeader = true;
    this.#paused = this.#cutter.count > 0;
  }
}
