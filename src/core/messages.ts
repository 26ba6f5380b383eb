/**
 * What goes into the engine (events) and what comes out (effects, records). Everything the daemon ever decided can be
 * replayed from these. All times named `…Ms` without more are the monotonic clock handed to `handle`; `wallMs` is Unix time.
 * Longer than most: shapes alone, and whoever reads one reads the next.
 */
import type { FollowAsk, FollowOutcome, Notice } from './action.js';
import type { Config, KernelNumbers } from './config.js';
import type { FlowAsk, FlowCount, FlowCountAsk, FlowOutcome } from './flow.js';
import type { RouterAdvert, UplinkHint } from './hint.js';
import type { KernelOp, KernelState, OpResult, RouteState, SnapshotRequest } from './kernel.js';
import type { Admin, Family, Health, LossReason, PathKey, Reason } from './model.js';
import type { SavedSilences } from './paths/silences.js';
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
  | { readonly type: 'flows-ended'; readonly outcome: FlowOutcome }
  | { readonly type: 'flows-counted'; readonly count: FlowCount }
  | { readonly type: 'uplink-hint'; readonly hint: UplinkHint }
  | { readonly type: 'router-advert'; readonly advert: RouterAdvert }
  /** The daemon is about to end and leaves the network as the config's `on-stop` wants. */
  | { readonly type: 'stopping' };

export type StallCause = 'process-stalled' | 'suspended' | 'clock-stepped';

export type Command =
  | { readonly verb: 'force'; readonly uplink: string }
  | { readonly verb: 'disable'; readonly uplink: string }
  | { readonly verb: 'enable'; readonly uplink: string }
  | { readonly verb: 'auto' }
  /** Everything learned of its silences is forgotten; null = of all uplinks. */
  | { readonly verb: 'forget'; readonly uplink: string | null }
  /** Try this uplink now, as the configuration's drill does; null = all that are not in use. */
  | {
      readonly verb: 'drill';
      readonly uplink: string | null;
      readonly traffic: 'some' | 'all' | null;
      readonly forMs: number | null;
    };

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
  /** Connections may soon have to be ended. */
  | { readonly type: 'prepare-flows' }
  /** End connections; the outcome comes back as `flows-ended`. Asked for after the routes that replace their way are in force. */
  | { readonly type: 'end-flows'; readonly ask: FlowAsk }
  /** The count comes back as `flows-counted`. */
  | { readonly type: 'count-flows'; readonly ask: FlowCountAsk }
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
  // A silence is over, borne or not. data: cause, severity (share lost), beganWallMs, lengthMs, borne.
  | 'silence'
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
  | 'gateway' // `gateway: auto` found another next hop, or lost it; prefixes alike
  | 'share' // the set of uplinks that share new connections has changed
  | 'flows' // connections were ended, or are being drained
  | 'usage' // a metered uplink nears its cap, or its probes their budget
  // The backup is being tried; or what came of it. data.outcome: DrillOutcome of drill-report.ts; data.left: how many are still to be tried.
  | 'drill'
  | 'rogue' // somebody else offers himself to the LAN as a router
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
  /** next hops of `gateway: auto`, as last known */
  readonly gateways?: Readonly<Record<PathKey, string>>;
  /** what metered uplinks have cost in the running month, by uplink */
  readonly usage?: Readonly<Record<string, SavedUsage>>;
  /** connections that finish on an uplink that is not chosen any more, and until when (Unix ms); null = no deadline */
  readonly drains?: Readonly<Record<PathKey, number | null>>;
  /** when the last drill began that was not ordered, Unix ms */
  readonly lastDrillWallMs?: number | null;
  /** what was learned of each path's silences; read with care, see paths/silences.ts */
  readonly silences?: Readonly<Record<PathKey, SavedSilences>>;
  /** outages that people were told of and that are not over: their end belongs to the same conversation */
  readonly outages?: Readonly<Record<PathKey, Outage>>;
}

export interface SavedUsage {
  /** since when it is counted, Unix ms: the beginning of the month, or later when it was first seen in the middle of one */
  readonly monthWallMs: number;
  readonly probeBytes: number;
  /** everything, by the interface's counters */
  readonly bytes: number;
  /** the counters' last reading; null = none yet */
  readonly counters: SavedCounters | null;
  /** highest of 75, 95 and 100 (%) that people were told of; 0 = none */
  readonly toldPercent: number;
}

export interface SavedCounters {
  /** the boot it belongs to */
  readonly bootId: string;
  /** the interface read; its number holds for that boot. Absent = an older version wrote this, and did not say */
  readonly link?: { readonly name: string; readonly ifindex: number };
  readonly rxBytes: number;
  readonly txBytes: number;
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
  /** families that had any default route when we first came; null = nobody has looked since nothing of ours stood */
  readonly hadDefault: readonly Family[] | null;
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
  /** what local time is ahead of UTC at a Unix instant, ms; absent = 0 */
  readonly utcOffsetMs?: (wallMs: number) => number;
  /** nothing outlives this process: no `save` is asked for (a simulation) */
  readonly forgetful?: boolean;
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
  readonly via: readonly ViaView[];
  /** null = none is configured */
  readonly drill: DrillView | null;
  /** routers that offer themselves to the LAN beside us */
  readonly rogues: readonly RogueView[];
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

export interface ViaView {
  readonly name: string;
  readonly uplink: string;
  /** `uplink`: as wanted; `balance`, `block`: its uplink does not work, and that is what happens instead */
  readonly now: 'uplink' | 'balance' | 'block';
}

export interface DrillView {
  /** Unix ms; null = only when asked for */
  readonly nextWallMs: number | null;
  readonly lastWallMs: number | null;
  /** running now */
  readonly uplink: string | null;
  readonly untilWallMs: number | null;
}

export interface RogueView {
  readonly interface: string;
  readonly from: string;
  readonly mac: string | null;
  readonly lastWallMs: number;
}

/** What a metered uplink has cost in this month. */
export interface UsageView {
  readonly monthWallMs: number;
  readonly monthEndsWallMs: number;
  readonly probeBytes: number;
  readonly probeBudgetBytes: number;
  /** the interval in force, that of the file or longer, so that the budget holds */
  readonly intervalMs: number;
  /** everything, by the interface's counters; null = they do not tell (shared interface, not seen yet) */
  readonly bytes: number | null;
  readonly capBytes: number | null;
  /** at the pace so far, by the end of the month; null = too early to say */
  readonly forecastBytes: number | null;
  /** the cap is reached and `at-cap` is `disable` */
  readonly closed: boolean;
}

export interface FamilyView {
  readonly family: Family;
  /** uplink that holds the default route; null = none of ours does */
  readonly active: string | null;
  /** the uplinks that share new connections with it, itself included, with their weights; one = nothing is shared */
  readonly sharing: readonly { readonly uplink: string; readonly weight: number }[];
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
  /** null = a tier of its own */
  readonly tier: number | null;
  readonly weight: number;
  /** null = not metered */
  readonly usage: UsageView | null;
  /** the LAN's IPv6 prefix on this uplink; null = not translated, or not known */
  readonly prefix: string | null;
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
  /** who named the gateway, with `gateway: auto`; null = the file did */
  readonly gatewaySource: string | null;
  /** connections that finish here although it is not chosen any more; null = none are drained */
  readonly draining: { readonly open: number | null; readonly untilWallMs: number | null } | null;
  /** share 0..1 over the window, the best `quorum` targets; null = no samples */
  readonly loss: number | null;
  readonly rttMs: number | null;
  readonly jitterMs: number | null;
  /** how much longer it must stay good before failback; null = no hold-down runs */
  readonly holdDownLeftMs: number | null;
  readonly holdDownMs: number;
  /** the hold-down's ground, where it is learned and runs */
  readonly holdDownGround: string | null;
  /** how long a silence is borne: given, or learned and then with its ground */
  readonly patience: PatienceView;
  readonly targets: readonly TargetView[];
}

export interface PatienceView {
  readonly learned: boolean;
  /** since the silence began; of the present one, or of one that would begin now */
  readonly ms: number;
  /** null = given by the file */
  readonly ground: string | null;
  /** of a silence that is being borne now; null = none is */
  readonly leftMs: number | null;
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
