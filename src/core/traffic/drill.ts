/**
 * The backup is tried before it is needed: one uplink after the other, put off while it would do harm, ended at the first
 * sign of trouble, and reported. What it wishes of the routes is plain data; who carries it out is not known here.
 */
import { DRILL_SHARE, type DrillConfig } from '../config.js';
import type { FlowCount } from '../flow.js';
import type { Command, DrillView, HistoryRecord } from '../messages.js';
import type { Family } from '../model.js';
import { formatDuration } from '../show/describe.js';
import { DrillCalendar } from './drill-calendar.js';
import { type DrillOutcome, type DrillResult, drillRecord } from './drill-report.js';
import { type DrillEnd, DrillRun, type DrillWish } from './drill-run.js';
import { CALM_MS, canTry, type DrillScene, type Feasibility, inUse } from './drill-scene.js';
import type { UtcOffset } from './month.js';

const RETRY_MS = 600_000;
/** A single lost packet breaks a drill off. So often it may, before that is the report. */
const MAX_TRIES = 3;
/** The last count, and the outcome of a confirm burst, are waited for so long. */
const SETTLE_MS = 5_000;
/** Where neither the file nor the command says. */
const DEFAULTS = { traffic: 'some', forMs: 60_000 } as const;

export interface DrillPort {
  wallMs(monotonicMs: number): number;
  readonly utcOffsetMs: UtcOffset;
  record(record: HistoryRecord): void;
  /** Asks for the connections of this uplink; the answer comes by `counted`. @returns the ask's id; null = none are remembered */
  count(uplink: string, family: Family): number | null;
  /** `look` wants to be called then. */
  wakeAt(atMs: number): void;
}

/** Uplinks that are to be tried one after the other. */
interface Round {
  readonly queue: string[];
  readonly traffic: 'some' | 'all';
  readonly forMs: number;
  /** what cannot be tried now may wait until then; null = somebody ordered it and is told at once */
  readonly untilWallMs: number | null;
  notBeforeMs: number;
  tries: number;
  putOffTold: boolean;
}

interface Ending {
  readonly run: DrillRun;
  readonly end: DrillEnd;
  readonly atMs: number;
}

export class Drill {
  readonly #port: DrillPort;
  readonly #calendar: DrillCalendar;
  #config: DrillConfig | null = null;
  #uplinks: readonly string[] = [];
  #round: Round | null = null;
  /** put aside for one that was ordered; the last one goes on first */
  readonly #waiting: Round[] = [];
  /** the date that came while there was a round: until when it may be tried */
  #dueUntilMs: number | null = null;
  /** a date that has come waits until then */
  #calmUntilMs = Number.NEGATIVE_INFINITY;
  /** when the last ordered one began: it moves no date */
  #orderedWallMs: number | null = null;
  #run: DrillRun | null = null;
  /** the traffic is off it again, the report is not out yet */
  #ending: Ending | null = null;
  /** it is over, and the choice may not have returned yet: home may just be in doubt */
  #returning: DrillRun | null = null;

  constructor(lastDrillWallMs: number | null, port: DrillPort) {
    this.#port = port;
    this.#calendar = new DrillCalendar(lastDrillWallMs, port.utcOffsetMs);
  }

  /** What the routes shall do now; null = nothing. */
  get wish(): DrillWish | null {
    return this.#run?.ready === true ? this.#run : null;
  }

  /** New connections go elsewhere only for the drill's sake: those that are open on it stay, until the choice has returned to it. */
  standsInFor(uplink: string, family: Family, scene: DrillScene): boolean {
    if (this.#run?.standsInFor(uplink, family) === true) return true;
    return this.#returning?.awaitsReturnOf(uplink, family, scene) === true;
  }

  /** When the last one began that was not ordered: from it the next date follows. */
  get lastDrillWallMs(): number | null {
    return this.#calendar.lastMs;
  }

  /** @param uplinks their names, in the order of the file */
  configure(config: DrillConfig | null, uplinks: readonly string[], nowMs: number): void {
    const unchanged = JSON.stringify([config, uplinks]) === JSON.stringify([this.#config, this.#uplinks]);
    this.#config = config;
    this.#uplinks = uplinks;
    if (unchanged) return;
    this.abandon('the configuration has changed', nowMs);
    this.#calendar.configure(config, this.#port.wallMs(nowMs));
  }

  /** `backroute drill`. What comes of it is told by records. */
  command(command: Extract<Command, { readonly verb: 'drill' }>, scene: DrillScene, nowMs: number): void {
    const traffic = command.traffic ?? this.#config?.traffic ?? DEFAULTS.traffic;
    const forMs = command.forMs ?? this.#config?.forMs ?? DEFAULTS.forMs;
    const queue = command.uplink === null ? this.#unused(this.#uplinks, scene) : [command.uplink];
    const busy = this.#run ?? this.#ending?.run ?? null;
    if (busy !== null || queue.length === 0) {
      const why = busy === null ? 'there is no uplink that is not in use' : `${busy.uplink} is being tried just now`;
      this.#report({ uplink: command.uplink, outcome: 'not-tried', why, traffic, left: 0 });
      return;
    }
    // What waits for better times, or for the dust to settle, is taken up after this.
    if (this.#round !== null) this.#waiting.push(this.#round);
    this.#round = { queue, traffic, forMs, untilWallMs: null, notBeforeMs: nowMs, tries: 0, putOffTold: false };
    this.look(scene, nowMs);
  }

  /**
   * Looks at everything anew: begins, ends, reports. To be called before each choice is made, and at least once a second.
   * @returns whether `wish` or `lastDrillWallMs` has changed
   */
  look(scene: DrillScene, nowMs: number): boolean {
    const run = this.#run;
    const wish = this.wish;
    const lastMs = this.#calendar.lastMs;
    const wallMs = this.#port.wallMs(nowMs);
    const due = this.#calendar.take(nowMs, wallMs);
    this.#dueUntilMs = due?.untilMs ?? this.#dueUntilMs;
    if (this.#dueUntilMs !== null && this.#round === null && nowMs >= this.#calmUntilMs) {
      this.#becomeDue(this.#dueUntilMs, scene, nowMs);
      this.#dueUntilMs = null;
    }
    if (run !== null) this.#watch(run, scene, nowMs);
    else if (this.#returning?.hasReturned(scene) === true) this.#returning = null;
    if (this.#ending !== null) this.#settle(this.#ending, scene, nowMs);
    const round = this.#round;
    if (round !== null && this.#run === null && this.#ending === null && nowMs >= round.notBeforeMs)
      this.#attempt(round, scene, nowMs, wallMs);
    return wish !== this.wish || lastMs !== this.#calendar.lastMs;
  }

  /** An answer by this path is overdue (the detector's `suspected`). @returns as `look` */
  suspected(uplink: string, family: Family, scene: DrillScene, nowMs: number): boolean {
    const run = this.#run;
    if (run === null || run.uplink !== uplink || !run.families.includes(family)) return false;
    run.suspected(family);
    return this.look(scene, nowMs);
  }

  /** @returns as `look` */
  counted(count: FlowCount): boolean {
    const wish = this.wish;
    this.#run?.counted(count);
    this.#ending?.run.counted(count);
    return wish !== this.wish;
  }

  /** Nothing is tried any more, for somebody else's reason: a reload, the end of this process. */
  abandon(why: string, nowMs: number): void {
    const run = this.#run ?? this.#ending?.run ?? null;
    const lastedMs = run === null ? 0 : (this.#ending?.atMs ?? nowMs) - run.startedMs;
    if (this.#run !== null) this.#returning = this.#run;
    this.#run = null;
    this.#ending = null;
    this.#round = null;
    this.#waiting.length = 0;
    this.#dueUntilMs = null;
    if (run === null) return;
    const { uplink, families, traffic } = run;
    this.#report({ uplink, families, traffic, outcome: 'broken-off', why, lastedMs, left: 0 });
  }

  /** Null = none is configured, and none runs. */
  view(nowMs: number): DrillView | null {
    const run = this.#run;
    if (this.#config === null && run === null) return null;
    return {
      nextWallMs: this.#calendar.dueMs,
      lastWallMs: latest(this.#calendar.lastMs, this.#orderedWallMs),
      uplink: run?.uplink ?? null,
      untilWallMs: run === null ? null : Math.round(this.#port.wallMs(nowMs) + Math.max(0, run.untilMs - nowMs)),
    };
  }

  // ---- beginning ---------------------------------------------------------------------------------------------------

  #becomeDue(untilWallMs: number, scene: DrillScene, nowMs: number): void {
    const config = this.#config;
    if (config === null) return;
    const queue = this.#unused(config.uplinks.length > 0 ? config.uplinks : this.#uplinks, scene);
    const { traffic, forMs } = config;
    if (queue.length > 0) this.#round = { queue, traffic, forMs, untilWallMs, notBeforeMs: nowMs, tries: 0, putOffTold: false };
  }

  #unused(uplinks: readonly string[], scene: DrillScene): string[] {
    return uplinks.filter((name) => {
      const idle = scene.paths.some((p) => p.uplink.name === name && !inUse(scene, name, p.family));
      return idle && scene.adminOf(name) !== 'disabled';
    });
  }

  #attempt(round: Round, scene: DrillScene, nowMs: number, wallMs: number): void {
    const uplink = round.queue[0];
    if (uplink === undefined) {
      this.#round = null;
      return;
    }
    const answer = canTry(uplink, scene, round.untilWallMs === null, nowMs);
    if (answer.kind === 'go') {
      this.#began(round, wallMs);
      this.#begin(uplink, answer, round, scene, nowMs);
      return;
    }
    const { traffic, untilWallMs, putOffTold } = round;
    if (answer.kind === 'wait' && untilWallMs !== null && wallMs + RETRY_MS < untilWallMs) {
      this.#retryLater(round, nowMs);
      if (putOffTold) return;
      round.putOffTold = true;
      const why = `${answer.why}; tried every ${formatDuration(RETRY_MS)} until midnight`;
      this.#report({ uplink, outcome: 'put-off', why, traffic, left: round.queue.length });
      return;
    }
    const dead = answer.kind === 'dead';
    // It was looked at, and found out: that is what a drill is for.
    if (dead) this.#began(round, wallMs);
    const why = putOffTold && !dead ? `given up for today, ${answer.why}` : answer.why;
    this.#next(round, nowMs, 0);
    this.#report({ uplink, outcome: dead ? 'fails' : 'not-tried', why, traffic, left: round.queue.length });
  }

  #began({ untilWallMs }: Round, wallMs: number): void {
    if (untilWallMs === null) this.#orderedWallMs = Math.round(wallMs);
    else this.#calendar.began(wallMs);
  }

  #begin(
    uplink: string,
    { paths, dead }: Extract<Feasibility, { kind: 'go' }>,
    { traffic, forMs, queue }: Round,
    scene: DrillScene,
    nowMs: number,
  ): void {
    const families = paths.map((p) => p.family);
    const span = { fromMs: nowMs, untilMs: nowMs + forMs };
    const run = new DrillRun({ uplink, families, traffic }, dead, scene, span, (family) => this.#port.count(uplink, family));
    this.#run = run;
    const what = traffic === 'all' ? 'all new traffic goes' : `one of ${DRILL_SHARE} new connections goes`;
    const why = `${what} by it for ${formatDuration(forMs)}`;
    this.#report({ uplink, outcome: 'begun', why, traffic, families, left: queue.length });
    this.#port.wakeAt(run.nextMs);
  }

  // ---- while it runs, and after ------------------------------------------------------------------------------------

  #watch(run: DrillRun, scene: DrillScene, nowMs: number): void {
    const end = run.watch(scene, nowMs);
    if (end === null) {
      this.#port.wakeAt(run.nextMs);
      return;
    }
    // The wish ends here and now; the report waits for the last figures.
    this.#run = null;
    this.#returning = run;
    this.#ending = { run, end, atMs: nowMs };
    run.end(scene, nowMs);
    this.#port.wakeAt(nowMs + SETTLE_MS);
  }

  #settle({ run, end, atMs }: Ending, scene: DrillScene, nowMs: number): void {
    if (run.awaits(scene) && nowMs - atMs < SETTLE_MS) return;
    this.#ending = null;
    const round = this.#round;
    const { uplink, families, traffic } = run;
    const judged = run.judged(end, scene);
    let { outcome, why } = judged;
    // What was only a suspicion when the traffic was taken off has come to nothing.
    const falseAlarm = outcome === 'broken-off' && run.wasSuspected;
    if (round !== null) round.tries += 1;
    if (round !== null && falseAlarm && round.tries < MAX_TRIES) {
      outcome = 'put-off';
      why = `${why}, but it came; tried again in ${formatDuration(RETRY_MS)}`;
      this.#retryLater(round, nowMs);
    } else if (round !== null) {
      if (falseAlarm) why = `${why}, as in each of ${MAX_TRIES} tries`;
      this.#next(round, nowMs, CALM_MS);
    }
    const left = round?.queue.length ?? 0;
    const lastedMs = atMs - run.startedMs;
    this.#report({ uplink, outcome, why, families, traffic, lastedMs, figures: run.figures(), left });
  }

  #retryLater(round: Round, nowMs: number): void {
    round.notBeforeMs = nowMs + RETRY_MS;
    this.#port.wakeAt(round.notBeforeMs);
  }

  #next(round: Round, nowMs: number, pauseMs: number): void {
    round.queue.shift();
    round.tries = 0;
    round.putOffTold = false;
    round.notBeforeMs = nowMs + pauseMs;
    if (round.queue.length === 0) this.#takeUp(nowMs + pauseMs);
    else this.#port.wakeAt(round.notBeforeMs);
  }

  /** A round is over: one that was put aside goes on. */
  #takeUp(notBeforeMs: number): void {
    this.#calmUntilMs = notBeforeMs;
    this.#round = this.#waiting.pop() ?? null;
    if (this.#round === null) return;
    this.#round.notBeforeMs = Math.max(this.#round.notBeforeMs, notBeforeMs);
    this.#port.wakeAt(this.#round.notBeforeMs);
  }

  #report(
    result: Partial<DrillResult> & Pick<DrillResult, 'uplink' | 'why' | 'traffic' | 'left'> & { outcome: DrillOutcome },
  ): void {
    this.#port.record(drillRecord({ families: [], lastedMs: 0, figures: [], ...result }));
  }
}

function latest(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.max(a, b);
}
