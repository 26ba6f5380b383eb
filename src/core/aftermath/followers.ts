/**
 * Which uplink each service outside the kernel shall follow, which it follows, and what is being done about it. One run at a
 * time per follower; a switch during a run supersedes it. Decides when to run and when to try again; carries nothing out.
 */
import type { FollowAsk, FollowOutcome } from '../action.js';
import type { FollowerView, HistoryRecord } from '../messages.js';
import type { FollowerConfig } from '../services.js';
import { recordOf } from '../show/records.js';

/** After a failure it is tried again after these; the last one goes on for ever. */
const RETRY_MS = [5_000, 15_000, 60_000, 300_000] as const;

export interface FollowersPort {
  follow(ask: FollowAsk): void;
  cancel(run: number): void;
  record(record: HistoryRecord): void;
  /** call `wake` then */
  wakeAt(atMs: number): void;
}

interface Run {
  readonly id: number;
  readonly uplink: string;
  cancelled: boolean;
  /** its configuration is no longer in force: whatever it achieves is not what is wanted */
  stale: boolean;
}

interface Follower {
  config: FollowerConfig;
  /** what the active uplink wants; null = nothing is wanted of this service */
  desired: string | null;
  /** what it was last read back to be; null = not known */
  verified: string | null;
  run: Run | null;
  failures: number;
  retryAtMs: number | null;
  text: string | null;
}

export class Followers {
  readonly #port: FollowersPort;
  #followers = new Map<string, Follower>();
  #nextRun = 1;

  constructor(port: FollowersPort) {
    this.#port = port;
  }

  /** A changed follower is brought to the active uplink anew; a removed one is left as it is. */
  configure(configs: readonly FollowerConfig[], nowMs: number): void {
    const former = this.#followers;
    this.#followers = new Map();
    for (const config of configs) {
      const known = former.get(config.name);
      former.delete(config.name);
      if (known !== undefined && JSON.stringify(known.config) === JSON.stringify(config)) {
        this.#followers.set(config.name, known);
        continue;
      }
      if (known !== undefined) this.#cancel(known);
      if (known?.run != null) known.run.stale = true;
      const before = known?.desired ?? null;
      const desired = before !== null && wants(config, before) ? before : null;
      this.#followers.set(config.name, {
        config,
        desired,
        verified: null,
        run: known?.run ?? null,
        failures: 0,
        retryAtMs: null,
        text: null,
      });
    }
    for (const gone of former.values()) this.#cancel(gone);
    this.#advanceAll(nowMs);
  }

  /** The way out goes by this uplink now. */
  want(uplink: string, nowMs: number): void {
    for (const follower of this.#followers.values()) {
      const desired = wants(follower.config, uplink) ? uplink : null;
      if (desired === follower.desired) continue;
      follower.desired = desired;
      follower.failures = 0;
      follower.retryAtMs = null;
    }
    this.#advanceAll(nowMs);
  }

  finished(outcome: FollowOutcome, nowMs: number): void {
    const follower = [...this.#followers.values()].find((f) => f.run?.id === outcome.run);
    if (follower === undefined || follower.run === null) return;
    const { uplink, cancelled, stale } = follower.run;
    follower.run = null;
    if (outcome.ok) {
      const news = outcome.changed || follower.failures > 0;
      follower.verified = stale ? null : uplink;
      follower.failures = 0;
      follower.text = outcome.text;
      if (news) this.#tell(follower, 'notice', outcome.text, uplink);
    } else if (outcome.superseded && cancelled) {
      follower.verified = null;
      this.#tell(follower, 'info', outcome.text, uplink);
    } else if (stale || uplink !== follower.desired) {
      // Nobody wants that any more, but it may not have been undone: what is wanted now need not wait for it.
      follower.verified = null;
      this.#tell(follower, 'warning', outcome.text, uplink);
    } else {
      follower.verified = null;
      follower.text = outcome.text;
      // The same failure again is told in `status`, not in the log each time.
      if (follower.failures === 0) this.#tell(follower, 'error', outcome.text, uplink);
      const delayMs = RETRY_MS[Math.min(follower.failures, RETRY_MS.length - 1)] ?? 0;
      follower.failures += 1;
      follower.retryAtMs = nowMs + delayMs;
      this.#port.wakeAt(follower.retryAtMs);
    }
    this.#advance(follower, nowMs);
  }

  wake(nowMs: number): void {
    this.#advanceAll(nowMs);
  }

  view(nowMs: number): FollowerView[] {
    return [...this.#followers.values()].map((f) => ({
      name: f.config.name,
      kind: f.config.kind,
      desired: f.desired,
      actual: f.verified,
      verified: f.desired !== null && f.verified === f.desired,
      running: f.run !== null,
      failures: f.failures,
      retryInMs: f.retryAtMs === null ? null : Math.max(0, Math.ceil(f.retryAtMs - nowMs)),
      text: f.text,
    }));
  }

  #advanceAll(nowMs: number): void {
    for (const follower of this.#followers.values()) this.#advance(follower, nowMs);
  }

  #advance(follower: Follower, nowMs: number): void {
    const { run, desired } = follower;
    if (run !== null) {
      if (run.uplink !== desired) this.#cancel(follower);
      return;
    }
    if (desired === null || desired === follower.verified) return;
    if (follower.retryAtMs !== null && nowMs < follower.retryAtMs) return;
    follower.retryAtMs = null;
    const id = this.#nextRun;
    this.#nextRun += 1;
    follower.run = { id, uplink: desired, cancelled: false, stale: false };
    this.#port.follow({ run: id, follower: follower.config, uplink: desired });
  }

  #cancel(follower: Follower): void {
    if (follower.run === null || follower.run.cancelled) return;
    follower.run.cancelled = true;
    this.#port.cancel(follower.run.id);
  }

  #tell(follower: Follower, severity: HistoryRecord['severity'], text: string, uplink: string): void {
    const data = { follower: follower.config.name, uplink };
    const { name } = follower.config;
    const named = text.startsWith(`${name} `) || text.startsWith(`${name}:`);
    this.#port.record(recordOf('action', severity, named ? text : `${name}: ${text}`, null, data));
  }
}

function wants(config: FollowerConfig, uplink: string): boolean {
  switch (config.kind) {
    case 'mail-relay':
      return Object.hasOwn(config.smarthosts, uplink);
    case 'files':
      return Object.hasOwn(config.copies, uplink);
    case 'resolver':
      return Object.hasOwn(config.servers, uplink);
  }
}
