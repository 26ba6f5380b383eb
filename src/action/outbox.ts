/**
 * Messages that must not be lost: on disk before they are tried, per channel in order, tried again through whatever uplink works,
 * across restarts, until delivered, refused or too old. Bounded in memory and on disk. Never throws into the caller, never
 * makes it wait. Must not know how a message travels, and reports only: what it says must not become a message again.
 */
import type { Notice } from '../core/action.js';
import type { ChannelConfig } from '../core/services.js';
import { formatDuration } from '../core/show/describe.js';
import { type Entry, Lane, type LaneKeeper, type LaneParts, type OutboxClock } from './outbox-lane.js';
import { laneProblems, listFound, listLanes, type OutboxEntry, refusedProblems } from './outbox-list.js';
import type { StoredMessage } from './outbox-shape.js';
import { type Contents, type Found, MAX_MESSAGE_BYTES, OutboxStore, serialize } from './outbox-store.js';
import { OutboxWriter } from './outbox-writer.js';
import type { Deliver, Verdict } from './verdict.js';

export { listOutbox, type OutboxEntry } from './outbox-list.js';

const MAX_MESSAGES = 1000;
const MAX_BYTES = 10 * 1024 * 1024;
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

export class Outbox {
  readonly #options: OutboxOptions;
  readonly #store: OutboxStore;
  readonly #parts: LaneParts;
  readonly #writer: OutboxWriter;
  readonly #lanes = new Map<string, Lane>();
  #channels: ReadonlyMap<string, ChannelConfig>;
  /** put before the directory was read: their numbers must follow those found there */
  #early: StoredMessage[] | null = [];
  #last = 0;
  #refused: Found[] = [];
  #damaged = 0;
  #dropped = 0;
  #closed = false;
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
    this.#writer = new OutboxWriter({
      store: this.#store,
      clock,
      ready: (entry) => {
        entry.ready = true;
        this.#lane(entry.channel).pump();
      },
      idle: (entry) => this.#lane(entry.channel).oldestIdle() === entry,
      drop: (entry, why) => this.#drop(entry, why),
      trouble: (text) => this.#tellDisk(text),
    });
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
    this.#writer.retry();
    for (const lane of this.#lanes.values()) lane.kick();
  }

  /** Whether everything was read, written and tried, and what is left waits for its next attempt. */
  get idle(): boolean {
    const written = this.#early === null && this.#writer.idle;
    return written && [...this.#lanes.values()].every((lane) => lane.idle);
  }

  reload(channels: readonly ChannelConfig[]): void {
    this.#channels = byName(channels);
    for (const lane of this.#lanes.values()) lane.configure(this.#channels.get(lane.name) ?? null);
  }

  /** In the order of arrival, the refused ones last. */
  list(): OutboxEntry[] {
    return [...listLanes([...this.#lanes.values()]), ...listFound(this.#refused, 'refused')];
  }

  /** For `status`, most severe first. */
  problems(): string[] {
    const { trouble } = this.#writer;
    const shown = this.#refused.filter(({ message }) => this.#isRecent(message.refused?.wallMs ?? message.queuedWallMs));
    return [
      ...(trouble === null ? [] : [`messages cannot be kept on disk: ${trouble}`]),
      ...laneProblems([...this.#lanes.values()]),
      ...refusedProblems(shown),
      ...(this.#dropped > 0 ? [`${this.#dropped} undelivered messages were dropped: too many waited`] : []),
      ...(this.#damaged > 0 ? [`${this.#damaged} damaged files were put aside in ${this.#options.directory}`] : []),
    ];
  }

  /** Resolves when nothing is written or sent any more; what is left waits for the next start. */
  async close(): Promise<void> {
    if (this.#closed) return;
    await this.#ready;
    this.#closed = true;
    await Promise.all([...this.#lanes.values()].map((lane) => lane.close(CLOSE_GRACE_MS)));
    await this.#writer.close();
  }

  async #load(): Promise<void> {
    let contents: Contents;
    try {
      contents = await this.#store.load({ tidy: true });
    } catch (error) {
      this.#writer.fails(error);
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
    const entry = this.#add(this.#last, message, bytes, text);
    this.#bound();
    this.#writer.add(entry);
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
    void this.#writer.remove(entry);
  }

  #tellDropped(channel: string, what: string, why: string): void {
    this.#dropped += 1;
    this.#report('error', 'dropped', channel, `${what} is dropped undelivered: ${why}`);
  }

  #tellDisk(text: string | null): void {
    if (text === null) this.#report('notice', 'disk', null, 'messages are kept on disk again');
    else this.#report('error', 'disk', null, `messages cannot be kept on disk: ${text}`);
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
      await this.#writer.remove(entry);
      this.#report('info', how, entry.channel, `${quoted(entry)} was delivered: ${text}`);
      return;
    }
    if (how === 'expired') {
      await this.#writer.remove(entry);
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
      this.#writer.fails(error);
      await this.#writer.remove(entry);
    }
  }

  /** Some recipients have it: should this program end now, they must not get it again. */
  async #rewrite(entry: Entry, served: readonly string[]): Promise<void> {
    const message = await this.#open(entry);
    if (message === null) return;
    entry.text = serialize({ ...message, served: [...new Set([...message.served, ...served])] });
    this.#writer.add(entry);
    await this.#writer.settled();
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
