/**
 * What goes into the engine (events) and what comes out (effects, records). Everything the daemon ever decided can be
 * replayed from these. All times named `…Ms` without more are the monotonic clock handed to `handle`; `wallMs` is Unix time.
 */
import type { FollowAsk, FollowOutcome, Notice } from './action.js';
import type { Config, KernelNumbers } from './config.js';
import type { KernelOp, KernelState, OpResult, RouteState, SnapshotRequest } from './kernel.js';
import type { Admin, Family, Health, LossReason, PathKey, Reason } from './model.js';
import type { ProbeAsk } from './probe.js';

export type Event =
  /** The kernel was read: at start, after a notification, on the slow timer, after a stall. `lost`: notifications had been dropped. */
  | { readonly type: 'kernel-seen'; readonly state: KernelState; readonly lost?: boolean }
  | { readonly type: 'kernel-unreadable'; readonly message: string }
  | {
      readonly type: 'probe-answered';
      readonly id: number;
      readonly rttMs: number;
      readonly duplicate: boolean;
      readonly note: string | null;
    }
  | { readonly type: 'probe-failed'; readonly id: number; readonly reason: LossReason; readonly detail: string }
  /** The time asked for by the last `set-timer` has come, and every answer that had arrived by then was handed in before. */
  | { readonly type: 'timer' }
  /** This process did not run, or time itself jumped, between the two instants (monotonic). */
  | { readonly type: 'stalled'; readonly fromMs: number; readonly toMs: number; readonly cause: StallCause }
  | { readonly type: 'command'; readonly command: Command }
  | { readonly type: 'config-reloaded'; readonly config: Config }
  | { readonly type: 'ops-applied'; readonly results: readonly OpResult[] }
  | { readonly type: 'name-resolved'; readonly name: string; readonly family: Family; readonly addresses: readonly string[] }
  | { readonly type: 'name-failed'; readonly name: string; readonly family: Family; readonly error: string }
  | { readonly type: 'follow-finished'; readonly outcome: FollowOutcome }
  /** The daemon is about to end and leaves the network as the config's `on-stop` wants. */
  | { readonly type: 'stopping' };

export type StallCause = 'process-stalled' | 'suspended' | 'clock-stepped';

export type Command =
  | { readonly verb: 'force'; readonly uplink: string }
  | { readonly verb: 'disable'; readonly uplink: string }
  | { readonly verb: 'enable'; readonly uplink: string }
  | { readonly verb: 'auto' };

export type Effect =
  | { readonly type: 'probe'; readonly ask: ProbeAsk }
  /** The sockets of this path are stale. */
  | { readonly type: 'forget-path'; readonly path: PathKey }
  /** Call `handle({type: 'timer'})` at this time; replaces the earlier wish. */
  | { readonly type: 'set-timer'; readonly atMs: number }
  /** Carry out now; the results come back as `ops-applied`. */
  | { readonly type: 'apply'; readonly ops: readonly KernelOp[] }
  | { readonly type: 'read-kernel'; readonly request: SnapshotRequest }
  | { readonly type: 'resolve'; readonly name: string; readonly family: Family }
  | { readonly type: 'record'; readonly record: HistoryRecord }
  /** Bring a service to what an uplink wants; the outcome comes back as `follow-finished`. */
  | { readonly type: 'follow'; readonly ask: FollowAsk }
  /** This run is superseded: end it as soon as that leaves nothing half done. Its outcome still comes. */
  | { readonly type: 'cancel-follow'; readonly run: number }
  /** Tell people: outbox and hooks. */
  | { readonly type: 'notify'; readonly notice: Notice }
  /** Keep this on disk: it must outlive the process. */
  | { readonly type: 'save'; readonly saved: SavedState };

/** One thing that happened, as it goes to the log, the events list, mails and the API. */
export interface HistoryRecord {
  readonly kind: RecordKind;
  readonly severity: 'info' | 'notice' | 'warning' | 'error';
  readonly uplink: string | null;
  readonly family: Family | null;
  readonly from: string | null;
  readonly to: string | null;
  readonly reason: Reason | null;
  /** how long the former state had lasted */
  readonly durationMs: number | null;
  /** one sentence for people, without time and uplink */
  readonly text: string;
  /** figures for programs */
  readonly data: Readonly<Record<string, string | number | boolean | null>>;
}

export type RecordKind =
  | 'started'
  | 'stopping'
  | 'health' // from/to are Health
  | 'switch' // from/to are uplink names
  | 'suspicion' // an answer is overdue, a confirm burst runs; or it ended
  | 'admin'
  | 'target' // one target died or came back while its uplink lives
  | 'drift' // somebody changed our routes; data.protocol names the culprit
  | 'foreign' // a foreign default in our place was remembered
  | 'kernel' // an operation failed, or works again
  | 'stall'
  | 'local' // all uplinks silent at once: suspected to be ours
  | 'config'
  | 'name'
  | 'sysctl'
  | 'action'; // a service follows the choice, or fails to; data.follower names it

/** What outlives the process: small, JSON, versioned. */
export interface SavedState {
  readonly version: 1;
  readonly slots: Readonly<Record<string, number>>;
  /** by which our objects in the kernel were known when this was written; absent = by the configuration's */
  readonly numbers?: KernelNumbers;
  readonly forced: string | null;
  readonly disabled: readonly string[];
  /** last good addresses of names: `name/family` -> address */
  readonly names: Readonly<Record<string, string>>;
  /** per path: active choice and since when (Unix ms), repeated failures */
  readonly active: Readonly<
    Partial<Record<`${Family}`, { readonly uplink: string; readonly sinceWallMs: number; readonly reason: Reason }>>
  >;
  readonly failures: Readonly<Record<PathKey, { readonly count: number; readonly lastWallMs: number }>>;
  readonly restore: RestoreMemory;
  /** outages that people were told of and that are not over: their end belongs to the same conversation */
  readonly outages?: Readonly<Record<PathKey, Outage>>;
}

export interface Outage {
  /** id of the first notice */
  readonly thread: string;
  readonly sinceWallMs: number;
  readonly health: Health;
}

/** How things were before Backroute came; valid for one boot of the kernel only. */
export interface RestoreMemory {
  readonly bootId: string;
  /** foreign default routes that stood in our place */
  readonly routes: readonly RouteState[];
  /** former values and what we set instead */
  readonly sysctls: Readonly<Record<string, { readonly before: string; readonly set: string }>>;
  /** families that had any default route when we first came */
  readonly hadDefault: readonly Family[];
}

/** Facts about this process and machine that the engine needs and cannot ask. */
export interface Surroundings {
  readonly bootId: string;
  /** effective group of the process, for net.ipv4.ping_group_range */
  readonly gid: number;
  /** a number in [0, 1) per call: phases and jitter */
  readonly random: () => number;
  /** Unix time that belongs to a monotonic instant */
  readonly wallMs: (monotonicMs: number) => number;
}

// ---- what `status` shows -------------------------------------------------------------------------------------------

/** The one JSON view: `backroute status --json`, the control socket and later the HTTP API all give this. */
export interface StatusView {
  readonly version: 1;
  readonly wallMs: number;
  readonly dryRun: boolean;
  readonly families: readonly FamilyView[];
  readonly uplinks: readonly UplinkView[];
  readonly services: readonly FollowerView[];
  /** messages to people: on their way, and refused for good */
  readonly outbox: { readonly waiting: number; readonly refused: number };
  /** problems worth a person's eye, most severe first */
  readonly problems: readonly string[];
}

/** A service that follows the choice: what it shall be, and what it was last read back to be. */
export interface FollowerView {
  readonly name: string;
  readonly kind: 'mail-relay' | 'files' | 'resolver';
  /** uplink whose settings are wanted; null = the active one asks nothing of it */
  readonly desired: string | null;
  readonly actual: string | null;
  readonly verified: boolean;
  readonly running: boolean;
  /** failures in a row */
  readonly failures: number;
  readonly retryInMs: number | null;
  /** what was done last, or what failed */
  readonly text: string | null;
}

export interface FamilyView {
  readonly family: Family;
  /** uplink that holds the default route; null = none of ours does */
  readonly active: string | null;
  readonly reason: Reason;
  readonly sinceWallMs: number;
  /** what will happen next if nothing changes, e.g. failback in 12 s */
  readonly next: { readonly uplink: string; readonly inMs: number } | null;
}

export interface UplinkView {
  readonly name: string;
  readonly admin: Admin;
  readonly slot: number;
  readonly table: number;
  readonly mark: number;
  readonly paths: readonly PathView[];
}

export interface PathView {
  readonly family: Family;
  readonly active: boolean;
  readonly health: Health;
  readonly reason: Reason;
  readonly sinceWallMs: number;
  /** a silence is being borne, or a confirm burst runs */
  readonly suspicion: 'none' | 'suspect' | 'silent';
  readonly interface: string | null;
  readonly gateway: string | null;
  /** share 0..1 over the window, the best `quorum` targets; null = no samples */
  readonly loss: number | null;
  readonly rttMs: number | null;
  readonly jitterMs: number | null;
  /** how much longer it must stay good before failback; null = no hold-down runs */
  readonly holdDownLeftMs: number | null;
  readonly holdDownMs: number;
  readonly targets: readonly TargetView[];
}

export interface TargetView {
  readonly label: string;
  readonly kind: 'icmp' | 'tcp' | 'http' | 'dns';
  readonly address: string | null;
  readonly alive: boolean | null;
  readonly loss: number | null;
  readonly rttMs: number | null;
  readonly jitterMs: number | null;
  readonly deadlineMs: number;
  readonly lastFailure: string | null;
  readonly note: string | null;
}
