/**
 * Messages that must not be lost: on disk before they are tried, per channel in order, tried again through whatever uplink works,
 * across restarts, until delivered, refused or too old. Bounded in memory and on disk. Never throws into the caller, never
 * makes it wait. Must not know how a message travels, and reports only: what it says must not become a message again.
 */
import type { Notice } from '../core/action.js';
import { formatDuration } from '../core/describe.js';
import type { ChannelConfig } from '../core/services.js';
import { type Entry, Lane, type LaneKeeper, type LaneParts, type OutboxClock } from './outbox-lane.js';
import type { StoredMessage } from './outbox-shape.js';
import { type Contents, type Found, MAX_MESSAGE_BYTES, OutboxStore, serialize } from './outbox-store.js';
import type { Deliver, Verdict } from './verdict.js';

const MAX_MESSAGES = 1000;
const MAX_BYTES = 10 * 1024 * 1024;
/** While the disk takes nothing. */
const MAX_HELD = 100;
const DISK_RETRY_MS = 10_000;
const ORPHAN_MAX_AGE_MS = 7 * 24 * 3_600_000;
const ATTEMPT_MS = 120_000;
const CLOSE_GRACE_MS = 2000;
/** A refusal stands among the problems for so long. */
const REFUSED_SHOWN_MS = 7 * 24 * 3_600_000;

export interface OutboxReport {
  readonly severity: 'info' | 'notice' | 'warning' | 'error';
  readonly what: 'delivered' | 'failing' | 'recovered' | 'refused' | 'expired' | 'dropped' | 'damaged' | 'disk';
  readonly channel: string | null;
  /** one sentence for the log; no secrets */
  readonly text: string;
}

export interface OutboxOptions {
  readonly directory: string;
  readonly channels: readonly ChannelConfig[];
  readonly deliver: Deliver;
  readonly clock: OutboxClock;
  /** in [0, 1) */
  readonly random: () => number;
  /** For the log alone: a message about a message that cannot be sent would never end. */
  readonly report: (report: OutboxReport) => void;
}

export interface OutboxEntry {
  readonly sequence: number;
  readonly channel: string;
  readonly id: string;
  readonly subject: string;
  /** Unix ms */
  readonly queuedWallMs: number;
  /** `memory`: the disk does not take it */
  readonly state: 'waiting' | 'memory' | 'refused';
  /** since this program started; null = not known, as when only the files were read */
  readonly attempts: number | null;
  /** what the last attempt met; null = none failed, or not known */
  readonly failure: string | null;
}

/** What a directory holds, without a daemon and without changing anything. @throws where it cannot be read */
export async function listOutbox(directory: string): Promise<{ entries: OutboxEntry[]; problems: readonly string[] }> {
  const { waiting, refused, problems } = await new OutboxStore(directory).load({ tidy: false });
  const entries = [...waiting, ...refused].map(({ sequence, message }) => ({
    sequence,
    channel: message.channel,
    id: message.notice.id,
    subject: message.notice.subject,
    queuedWallMs: message.queuedWallMs,
    state: refused.some((one) => one.sequence === sequence) ? ('refused' as const) : ('waiting' as const),
    attempts: null,
    failure: message.refused?.text ?? null,
  }));
  return { entries, problems };
}

export class Outbox {
  readonly #options: OutboxOptions;
  readonly #store: OutboxStore;
  readonly #parts: LaneParts;
  readonly #lanes = new Map<string, Lane>();
  #channels: ReadonlyMap<string, ChannelConfig>;
  /** put before the directory was read: their numbers must follow those found there */
  #early: StoredMessage[] | null = [];
  #last = 0;
  #unwritten: Entry[] = [];
  /** ended, but the disk did not let go of the file */
  readonly #lingering = new Set<number>();
  #refused: Found[] = [];
  #writing: Promise<void> | null = null;
  #diskTrouble: string | null = null;
  #damaged = 0;
  #dropped = 0;
  #closed = false;
  #cancelRetry: (() => void) | null = null;
  readonly #ready: Promise<void>;

  constructor(options: OutboxOptions) {
    this.#options = options;
    this.#store = new OutboxStore(options.directory);
    this.#channels = byName(options.channels);
    const { clock, random, deliver } = options;
    this.#parts = {
      clock,
      random,
      deliver,
      keeper: this.#keeper(),
      attemptMs: ATTEMPT_MS,
      orphanMaxAgeMs: ORPHAN_MAX_AGE_MS,
    };
    this.#ready = this.#load();
  }

  /** Resolves when what an earlier run left has been read. Nothing needs to wait for it. */
  ready(): Promise<void> {
    return this.#ready;
  }

  /** Returns at once; the message is written and then tried beside. */
  put(channel: string, notice: Notice): void {
    if (this.#closed) return;
    const queuedWallMs = this.#options.clock.wallMs();
    const message: StoredMessage = { version: 1, channel, queuedWallMs, served: [], notice };
    if (this.#early === null) this.#accept(message);
    else if (this.#early.push(message) > MAX_MESSAGES) {
      this.#early.shift();
      this.#tellDropped(channel, 'a message', 'too many messages wait');
    }
  }

  /** The way out has changed: everything is tried at once. */
  kick(): void {
    this.#retryDisk();
    for (const lane of this.#lanes.values()) lane.kick();
  }

  reload(channels: readonly ChannelConfig[]): void {
    this.#channels = byName(channels);
    for (const lane of this.#lanes.values()) lane.configure(this.#channels.get(lane.name) ?? null);
  }

  /** In the order of arrival, the refused ones last. */
  list(): OutboxEntry[] {
    const waiting = [...this.#lanes.values()].flatMap((lane) =>
      lane.entries.map((entry, index) => ({
        sequence: entry.sequence,
        channel: entry.channel,
        id: entry.noticeId,
        subject: entry.subject,
        queuedWallMs: entry.queuedWallMs,
        state: entry.text === null ? ('waiting' as const) : ('memory' as const),
        attempts: entry.attempts,
        failure: index === 0 ? (lane.lastFailure?.text ?? null) : null,
      })),
    );
    const refused = this.#refused.map(({ sequence, message }) => ({
      sequence,
      channel: message.channel,
      id: message.notice.id,
      subject: message.notice.subject,
      queuedWallMs: message.queuedWallMs,
      state: 'refused' as const,
      attempts: null,
      failure: message.refused?.text ?? null,
    }));
    return [...waiting.sort((a, b) => a.sequence - b.sequence), ...refused];
  }

  /** For `status`, most severe first. */
  problems(): string[] {
    const problems: string[] = [];
    if (this.#diskTrouble !== null) problems.push(`messages cannot be kept on disk: ${this.#diskTrouble}`);
    const lanes = [...this.#lanes.values()].filter((lane) => lane.entries.length > 0);
    const rank = (lane: Lane): number => (lane.lastFailure?.kind === 'credentials' ? 0 : 1);
    for (const lane of lanes.sort((a, b) => rank(a) - rank(b))) {
      const waiting = lane.entries.length === 1 ? '1 message waits' : `${lane.entries.length} messages wait`;
      if (!lane.configured) problems.push(`${waiting} for ${lane.name}, which is no longer configured`);
      else if (lane.lastFailure !== null) problems.push(`${waiting} for ${lane.name}: ${lane.lastFailure.text}`);
    }
    const shown = this.#refused.filter(({ message }) => this.#isRecent(message.refused?.wallMs ?? message.queuedWallMs));
    const latest = shown.at(-1);
    if (latest !== undefined) {
      const many = shown.length === 1 ? '1 message was' : `${shown.length} messages were`;
      problems.push(
        `${many} refused for good, the last by ${latest.message.channel}: ${latest.message.refused?.text ?? 'no answer kept'}`,
      );
    }
    if (this.#dropped > 0) problems.push(`${this.#dropped} undelivered messages were dropped: too many waited`);
    if (this.#damaged > 0) problems.push(`${this.#damaged} damaged files were put aside in ${this.#options.directory}`);
    return problems;
  }

  /** Resolves when nothing is written or sent any more; what is left waits for the next start. */
  async close(): Promise<void> {
    if (this.#closed) return;
    await this.#ready;
    this.#closed = true;
    this.#cancelRetry?.();
    await Promise.all([...this.#lanes.values()].map((lane) => lane.close(CLOSE_GRACE_MS)));
    // The last chance for what only memory holds.
    this.#write();
    while (this.#writing !== null) await this.#writing;
    this.#cancelRetry?.();
  }

  async #load(): Promise<void> {
    let contents: Contents;
    try {
      contents = await this.#store.load({ tidy: true });
    } catch (error) {
      this.#diskFails(error);
      // Whatever lies there unread has lower numbers than the clock's seconds.
      contents = { waiting: [], refused: [], problems: [], last: Math.floor(this.#options.clock.wallMs() / 1000) };
    }
    this.#last = contents.last;
    this.#refused = [...contents.refused];
    this.#damaged = contents.problems.length;
    for (const problem of contents.problems) this.#report('error', 'damaged', null, problem);
    for (const found of contents.waiting) this.#add(found.sequence, found.message, found.bytes, null);
    const early = this.#early ?? [];
    this.#early = null;
    for (const message of early) this.#accept(message);
    this.#bound();
  }

  #accept(message: StoredMessage): void {
    const text = serialize(message);
    const bytes = Buffer.byteLength(text);
    if (bytes > MAX_MESSAGE_BYTES) {
      this.#tellDropped(message.channel, `a message of ${bytes} bytes`, 'too large');
      return;
    }
    this.#last += 1;
    this.#unwritten.push(this.#add(this.#last, message, bytes, text));
    this.#bound();
    this.#write();
  }

  #add(sequence: number, message: StoredMessage, bytes: number, text: string | null): Entry {
    const { clock } = this.#options;
    const { channel, notice, queuedWallMs } = message;
    const queuedMs = clock.now() - Math.max(0, clock.wallMs() - queuedWallMs);
    const noticeId = notice.id;
    const { subject } = notice;
    const rest = { text, ready: text === null, gone: false, attempts: 0 };
    const entry: Entry = { sequence, channel, noticeId, subject, queuedWallMs, queuedMs, bytes, ...rest };
    this.#lane(channel).add(entry);
    return entry;
  }

  #lane(name: string): Lane {
    let lane = this.#lanes.get(name);
    if (lane === undefined) {
      lane = new Lane(name, this.#channels.get(name) ?? null, this.#parts);
      this.#lanes.set(name, lane);
    }
    return lane;
  }

  /** The oldest go where there are too many. */
  #bound(): void {
    const lanes = [...this.#lanes.values()];
    let count = lanes.reduce((sum, lane) => sum + lane.entries.length, 0);
    let bytes = lanes.reduce((sum, lane) => sum + lane.bytes, 0);
    while (count > MAX_MESSAGES || bytes > MAX_BYTES) {
      const oldest = lanes
        .map((lane) => lane.oldestIdle())
        .filter((entry) => entry !== null)
        .reduce<Entry | null>((first, entry) => (first === null || entry.sequence < first.sequence ? entry : first), null);
      if (oldest === null) return;
      count -= 1;
      bytes -= oldest.bytes;
      this.#drop(oldest, 'too many messages wait');
    }
  }

  #drop(entry: Entry, why: string): void {
    this.#lane(entry.channel).drop(entry);
    this.#tellDropped(entry.channel, quoted(entry), why);
    void this.#remove(entry);
  }

  #tellDropped(channel: string, what: string, why: string): void {
    this.#dropped += 1;
    this.#report('error', 'dropped', channel, `${what} is dropped undelivered: ${why}`);
  }

  #write(): void {
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = null;
    });
  }

  async #writeAll(): Promise<void> {
    for (let entry = this.#unwritten[0]; entry !== undefined; entry = this.#unwritten[0]) {
      if (entry.text !== null && !entry.gone) {
        const { text } = entry;
        try {
          await this.#store.write(entry.sequence, text);
        } catch (error) {
          this.#hold(error);
          return;
        }
        this.#diskWorks();
        // Rewritten while it was being written: once more.
        if (entry.text !== text) continue;
        entry.text = null;
        // Delivered from memory or dropped while it was being written.
        if (entry.gone) await this.#remove(entry);
        entry.ready = true;
        this.#lane(entry.channel).pump();
      }
      this.#unwritten = this.#unwritten.filter((one) => one !== entry);
    }
    for (const sequence of this.#lingering) {
      try {
        await this.#store.remove(sequence);
      } catch (error) {
        this.#diskFails(error);
        return;
      }
      this.#lingering.delete(sequence);
      this.#diskWorks();
    }
  }

  /** Better told from memory than not at all: that the disk is full is itself worth telling. */
  #hold(error: unknown): void {
    this.#diskFails(error);
    this.#unwritten = this.#unwritten.filter((entry) => !entry.gone);
    while (this.#unwritten.length > MAX_HELD) {
      // Not one that is being delivered just now.
      const oldest = this.#unwritten.find((entry) => this.#lane(entry.channel).oldestIdle()?.sequence === entry.sequence);
      if (oldest === undefined) break;
      this.#unwritten = this.#unwritten.filter((entry) => entry !== oldest);
      this.#drop(oldest, 'the disk takes none and memory holds no more');
    }
    for (const entry of this.#unwritten) {
      entry.ready = true;
      this.#lane(entry.channel).pump();
    }
  }

  #diskFails(error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    if (this.#diskTrouble === null) this.#report('error', 'disk', null, `messages cannot be kept on disk: ${text}`);
    this.#diskTrouble = text;
    if (this.#closed) return;
    this.#cancelRetry?.();
    this.#cancelRetry = this.#options.clock.setTimer(DISK_RETRY_MS, () => this.#retryDisk());
  }

  #diskWorks(): void {
    if (this.#diskTrouble !== null) this.#report('notice', 'disk', null, 'messages are kept on disk again');
    this.#diskTrouble = null;
  }

  #retryDisk(): void {
    this.#cancelRetry?.();
    this.#cancelRetry = null;
    if (this.#unwritten.length > 0 || this.#lingering.size > 0) this.#write();
    // Nothing waits for the disk any more; the next message will show how it is.
    else if (this.#writing === null) this.#diskTrouble = null;
  }

  async #remove(entry: Entry): Promise<void> {
    try {
      await this.#store.remove(entry.sequence);
    } catch (error) {
      this.#lingering.add(entry.sequence);
      this.#diskFails(error);
    }
    this.#retryDisk();
  }

  #keeper(): LaneKeeper {
    return {
      open: (entry) => this.#open(entry),
      ended: (entry, how, text) => this.#ended(entry, how, text),
      served: (entry, served) => this.#rewrite(entry, served),
      trouble: (channel, verdict) => this.#tellTrouble(channel, verdict),
    };
  }

  async #open(entry: Entry): Promise<StoredMessage | null> {
    try {
      return entry.text === null ? await this.#store.read(entry.sequence) : (JSON.parse(entry.text) as StoredMessage);
    } catch (error) {
      this.#damaged += 1;
      const text = `${quoted(entry)} cannot be read and is put aside: ${error instanceof Error ? error.message : String(error)}`;
      this.#report('error', 'damaged', entry.channel, text);
      await this.#store.setAside(entry.sequence).catch(() => undefined);
      return null;
    }
  }

  async #ended(entry: Entry, how: 'delivered' | 'refused' | 'expired', text: string): Promise<void> {
    if (how === 'delivered') {
      await this.#remove(entry);
      this.#report('info', how, entry.channel, `${quoted(entry)} was delivered: ${text}`);
      return;
    }
    if (how === 'expired') {
      await this.#remove(entry);
      const age = formatDuration(this.#options.clock.now() - entry.queuedMs);
      this.#report('error', how, entry.channel, `${quoted(entry)} is given up undelivered after ${age}: ${text}`);
      return;
    }
    this.#report('error', how, entry.channel, `${quoted(entry)} was refused for good: ${text}`);
    const message = await this.#open(entry);
    if (message === null) return;
    const refused: StoredMessage = { ...message, refused: { wallMs: this.#options.clock.wallMs(), text } };
    this.#refused = [...this.#refused, { sequence: entry.sequence, bytes: entry.bytes, message: refused }].slice(-100);
    try {
      await this.#store.refuse(entry.sequence, refused);
    } catch (error) {
      this.#diskFails(error);
      await this.#remove(entry);
    }
  }

  /** Some recipients have it: should this program end now, they must not get it again. */
  async #rewrite(entry: Entry, served: readonly string[]): Promise<void> {
    const message = await this.#open(entry);
    if (message === null) return;
    entry.text = serialize({ ...message, served: [...new Set([...message.served, ...served])] });
    if (!this.#unwritten.includes(entry)) this.#unwritten.push(entry);
    this.#write();
    await this.#writing;
  }

  #tellTrouble(channel: string, verdict: Verdict | null): void {
    if (verdict === null) this.#report('notice', 'recovered', channel, `${channel} takes messages again`);
    else this.#report(verdict.kind === 'credentials' ? 'error' : 'warning', 'failing', channel, `${channel}: ${verdict.text}`);
  }

  #isRecent(wallMs: number): boolean {
    return this.#options.clock.wallMs() - wallMs < REFUSED_SHOWN_MS;
  }

  #report(severity: OutboxReport['severity'], what: OutboxReport['what'], channel: string | null, text: string): void {
    try {
      this.#options.report({ severity, what, channel, text });
    } catch {
      // Whoever listens is not allowed to stop a delivery.
    }
  }
}

function byName(channels: readonly ChannelConfig[]): ReadonlyMap<string, ChannelConfig> {
  return new Map(channels.map((channel) => [channel.name, channel]));
}

function quoted(entry: Entry): string {
  return `the message "${entry.subject}" for ${entry.channel}`;
}
