/**
 * Follows what DHCP clients and their hooks know of uplinks, which the routing tables may not show: a client's `route add`
 * fails unseen behind our default (docs/dhcp.md). Reads at start, then by event, and all the same every 30 s. Believes a file
 * only as far as folder.ts allows; decides nothing.
 */
import type { UplinkHint } from '../../core/hint.js';
import { FolderWatch } from './folder-watch.js';
import { dhclientSource, hintSource, type LeaseSource, networkdSource, networkManagerSource } from './sources.js';
import { type LeaseWord, wordKey } from './word.js';

export interface LeaseWatcherOptions {
  /** where our hooks drop their hints; see {@link hintsDirectory} */
  readonly hintsDir: string;
  /** of ISC dhclient: default /var/lib/dhcp and /var/lib/dhclient */
  readonly dhclientDirs?: readonly string[];
  /** default /run/systemd/netif/leases */
  readonly networkdDir?: string;
  /** default /var/lib/NetworkManager */
  readonly networkManagerDir?: string;
  /** as the kernel has it now; null = there is no such interface. When that changes, call {@link LeaseWatcher.look} */
  readonly interfaceName: (ifindex: number) => string | null;
  /** a sentence for people, once for each file and cause */
  readonly onProblem: (text: string) => void;
  /** default 30 s */
  readonly slowLookMs?: number;
  /** Unix time */
  readonly wallMs?: () => number;
}

/** Beside the daemon's own folder, not in it: that one is writable for the daemon's user, and root's hooks write here. */
export function hintsDirectory(runDir: string): string {
  return `${runDir.replace(/\/+$/, '')}-hints`;
}

/** A client writes a lease in several pieces. */
const GATHER_MS = 20;
/** dhclient empties its file before it writes it anew: what is missing is looked for once more before it is believed. */
const MISSING_MS = 1000;
const SLOW_LOOK_MS = 30_000;
/** setTimeout takes no more; a lease may. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
const MAX_PROBLEMS = 200;

export class LeaseWatcher {
  readonly #options: LeaseWatcherOptions;
  readonly #sources: readonly LeaseSource[];
  readonly #watches: readonly FolderWatch[];
  #onHint: ((hint: UplinkHint) => void) | null = null;
  /** per source: what it said last, as far as it can still be believed */
  readonly #words = new Map<LeaseSource, readonly LeaseWord[]>();
  /** since when (monotonic) a word that was there is missing in a file that may be half rewritten */
  readonly #missingSinceMs = new Map<string, number>();
  readonly #told = new Map<string, UplinkHint>();
  readonly #problems = new Set<string>();
  readonly #timers: { gather?: NodeJS.Timeout; missing?: NodeJS.Timeout; expiry?: NodeJS.Timeout; slow?: NodeJS.Timeout } = {};
  #reading = false;
  #again = false;

  constructor(options: LeaseWatcherOptions) {
    this.#options = options;
    this.#sources = [
      hintSource(options.hintsDir),
      ...(options.dhclientDirs ?? ['/var/lib/dhcp', '/var/lib/dhclient']).map(dhclientSource),
      networkdSource(options.networkdDir ?? '/run/systemd/netif/leases', options.interfaceName),
      networkManagerSource(options.networkManagerDir ?? '/var/lib/NetworkManager'),
    ];
    this.#watches = this.#sources.map((source) => new FolderWatch(source.folder, () => this.look()));
  }

  /** Resolves when what was there at the start has been told; never rejects. Call once. */
  async start(onHint: (hint: UplinkHint) => void): Promise<void> {
    this.#onHint = onHint;
    for (const watch of this.#watches) watch.arm();
    this.#timers.slow = setInterval(() => {
      for (const watch of this.#watches) watch.arm();
      void this.#read();
    }, this.#options.slowLookMs ?? SLOW_LOOK_MS);
    this.#timers.slow.unref();
    await this.#read();
  }

  /** Something may have changed: reads soon, once for many calls. */
  look(): void {
    if (this.#onHint === null || this.#timers.gather !== undefined) return;
    this.#timers.gather = setTimeout(() => {
      delete this.#timers.gather;
      void this.#read();
    }, GATHER_MS);
  }

  close(): void {
    this.#onHint = null;
    for (const watch of this.#watches) watch.close();
    clearInterval(this.#timers.slow);
    for (const timer of [this.#timers.gather, this.#timers.missing, this.#timers.expiry]) clearTimeout(timer);
  }

  async #read(): Promise<void> {
    // A word read earlier must not be told later: one at a time.
    if (this.#reading) {
      this.#again = true;
      return;
    }
    this.#reading = true;
    do {
      this.#again = false;
      const readings = await Promise.all(this.#sources.map(async (source) => ({ source, reading: await source.read() })));
      if (this.#onHint === null) break;
      for (const { source, reading } of readings) {
        this.#words.set(source, this.#believed(source, reading.words, reading.complete));
        for (const problem of reading.problems) this.#tellProblem(problem);
      }
      this.#tell();
    } while (this.#again);
    this.#reading = false;
  }

  /** What is read now, and what was read before as long as its absence may be a moment's. */
  #believed(source: LeaseSource, words: readonly LeaseWord[], complete: boolean): readonly LeaseWord[] {
    const seen = new Set(words.map(wordKey));
    const missing = (this.#words.get(source) ?? []).filter((word) => !seen.has(wordKey(word)));
    for (const key of seen) this.#missingSinceMs.delete(key);
    if (!complete) return [...words, ...missing];
    if (source.atomic || missing.length === 0) return words;
    const nowMs = performance.now();
    const kept = missing.filter((word) => {
      const sinceMs = this.#missingSinceMs.get(wordKey(word)) ?? nowMs;
      if (nowMs - sinceMs >= MISSING_MS) {
        this.#missingSinceMs.delete(wordKey(word));
        return false;
      }
      this.#missingSinceMs.set(wordKey(word), sinceMs);
      return true;
    });
    if (kept.length > 0) {
      clearTimeout(this.#timers.missing);
      this.#timers.missing = setTimeout(() => void this.#read(), MISSING_MS + GATHER_MS);
    }
    return [...words, ...kept];
  }

  /** Tells what differs from what was told, and comes back when the next word ends. */
  #tell(): void {
    const wallMs = this.#options.wallMs?.() ?? Date.now();
    const current = new Map<string, UplinkHint>();
    let nextEndMs = Number.POSITIVE_INFINITY;
    for (const { expiresWallMs, ...hint } of [...this.#words.values()].flat()) {
      const key = wordKey(hint);
      if (expiresWallMs !== null && expiresWallMs <= wallMs) {
        if (!current.has(key)) current.set(key, { ...hint, gateway: null, prefix: null });
        continue;
      }
      current.set(key, hint);
      if (expiresWallMs !== null) nextEndMs = Math.min(nextEndMs, expiresWallMs - wallMs);
    }
    for (const [key, hint] of this.#told) {
      if (!current.has(key)) current.set(key, { ...hint, gateway: null, prefix: null });
    }
    for (const [key, hint] of current) this.#tellOne(key, hint);
    clearTimeout(this.#timers.expiry);
    if (Number.isFinite(nextEndMs)) {
      this.#timers.expiry = setTimeout(() => this.#tell(), Math.min(Math.ceil(nextEndMs) + 1, LONGEST_TIMER_MS));
      this.#timers.expiry.unref();
    }
  }

  #tellOne(key: string, hint: UplinkHint): void {
    const told = this.#told.get(key);
    // What never knew anything has nothing to say.
    if (told === undefined && hint.gateway === null && hint.prefix === null) return;
    if (told !== undefined && told.gateway === hint.gateway && told.prefix === hint.prefix) return;
    this.#told.set(key, hint);
    this.#onHint?.(hint);
  }

  #tellProblem(text: string): void {
    if (this.#problems.has(text) || this.#problems.size >= MAX_PROBLEMS) return;
    this.#problems.add(text);
    this.#options.onProblem(text);
  }
}
