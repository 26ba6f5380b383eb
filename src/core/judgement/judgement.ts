/**
 * Decides for one uplink how long a silence is borne before failing over, and how long it must have been good before
 * failback, from how its silences went so far. docs/judgement.md has the theory and the figures. It is told when silences
 * begin and end; it knows neither probes nor routes, and not where traffic is.
 */
import { Forecast, goodSteps, silenceSteps } from './forecast.js';
import { GAP_KINDS_S, goodAnswer, kindOf, SILENCE_KINDS_S, silenceAnswer, solve, type Values } from './game.js';
import { type Ground, holdGround, patienceGround } from './ground.js';
import { stepOf } from './life-table.js';
import { Memory, type Remembered, type SilenceCause } from './memory.js';
import { type JudgementState, memoryOf, stateOf } from './state.js';
import { accounted, borne, type Follower, fullTrust, onUplink, settled, type Trust } from './trust.js';
import { defaultTuning, type Tuning } from './tuning.js';
import { type Costs, WorkFunction } from './work-function.js';

export interface Bounds {
  readonly minMs: number;
  readonly maxMs: number;
}

export interface JudgementOptions {
  /** one switch hurts like this much outage, ms */
  readonly switchCostMs: number;
  /** a second on the backup hurts like so many seconds of outage, in [0, 1) */
  readonly backupCost: number;
  readonly patience: Bounds;
  readonly hold: Bounds;
}

const DAY_MS = 86_400_000;

export const defaultJudgement: JudgementOptions = {
  switchCostMs: 2_500,
  backupCost: 0.02,
  patience: { minMs: 0, maxMs: DAY_MS },
  hold: { minMs: 0, maxMs: DAY_MS },
};

interface Silence {
  readonly beganMs: number;
  readonly gapS: number | null;
  readonly formerSilenceS: number | null;
  readonly cause: SilenceCause;
  readonly severity: number;
  readonly safePatienceS: number;
  /** null = nobody has asked yet */
  patience: Decision | null;
}

interface Ended {
  readonly silence: Silence;
  readonly lengthS: number;
  readonly safeHoldS: number;
  hold: Decision | null;
  accounted: boolean;
}

/** What the remembered silences say of those to come. */
interface Foretold extends Costs {
  readonly episodes: readonly Remembered[];
  readonly forecast: Forecast;
  readonly values: Values;
}

interface Decision {
  readonly afterMs: number;
  readonly ground: Ground;
}

export class Judgement {
  #options: JudgementOptions;
  readonly #tuning: Tuning;
  #memory: Memory;
  #trust: Trust;
  readonly #safe: WorkFunction;
  #own: Follower = onUplink;
  #other: Follower = onUplink;
  #silence: Silence | null = null;
  #goodSinceMs: number | null = null;
  #foretold: Foretold | null = null;
  /** the last silence that ended; its hold is judged when somebody asks, or when it must be accounted for */
  #ended: Ended | null = null;

  constructor(options: JudgementOptions, saved: JudgementState | null = null, tuning: Tuning = defaultTuning) {
    this.#options = options;
    this.#tuning = tuning;
    this.#memory = memoryOf(saved, tuning);
    this.#safe = new WorkFunction(saved?.behindS ?? 2 * this.#costs.switchS);
    this.#trust = saved === null ? fullTrust : { excessS: saved.excessS, believed: saved.believed };
  }

  /** What is known stays; decisions from the next on use the new options. */
  reconfigure(options: JudgementOptions): void {
    this.#options = options;
  }

  /**
   * A silence has begun. @param severity share of the traffic that is lost beyond the best alternative's, in (0, 1].
   * What follows from it is judged when somebody asks: O(episodes x kinds + rounds x kinds x steps), one to two ms of CPU.
   */
  silenceBegan(atMs: number, cause: SilenceCause, severity = 1): void {
    if (this.#silence !== null) return;
    const costs = this.#costs;
    const gapS = this.#goodSinceMs === null ? null : spanS(this.#goodSinceMs, atMs);
    if (gapS !== null) this.#safe.good(gapS, costs);
    this.#account(costs);
    this.#settle(atMs / 1000, costs);
    const formerSilenceS = gapS === null ? null : (this.#memory.episodes.at(-1)?.silenceS ?? null);
    const safePatienceS = this.#safePatienceS(severity, costs);
    this.#silence = { beganMs: atMs, gapS, formerSilenceS, cause, severity, safePatienceS, patience: null };
    this.#goodSinceMs = null;
  }

  /** Its cause or severity has become clear. What was borne so far counts. */
  silenceChanged(cause: SilenceCause, severity = 1): void {
    const silence = this.#silence;
    if (silence === null || (silence.cause === cause && silence.severity === severity)) return;
    const safePatienceS = this.#safePatienceS(severity, this.#costs);
    this.#silence = { ...silence, cause, severity, safePatienceS, patience: null };
  }

  /** It answers again. */
  silenceEnded(atMs: number): void {
    const silence = this.#silence;
    if (silence === null) return;
    this.#patienceOf(silence);
    this.#silence = null;
    const lengthS = spanS(silence.beganMs, atMs);
    this.#remember(silence, lengthS, true);
    const costs = this.#costs;
    this.#safe.silent(lengthS, silence.severity, costs);
    const safeHoldS = within(this.#options.hold, 1000 * this.#safe.holdS(costs)) / 1000;
    this.#goodSinceMs = atMs;
    this.#ended = { silence, lengthS, safeHoldS, hold: null, accounted: false };
  }

  /** Whether there is something left to reckon that the next silence, or the next who asks, would have to wait for. */
  get isOpen(): boolean {
    const accounted = this.#ended === null || this.#ended.accounted;
    return !accounted || this.#foretold?.episodes !== this.#memory.episodes;
  }

  /** Reckons it, at a moment when nobody is in a hurry: one to three milliseconds of CPU. What follows is the same. */
  settle(): void {
    this.#account(this.#costs);
    this.#foretell(this.#costs);
  }

  /** From here on nobody watched: a silence lasted at least so long; a good time is not known to have lasted. */
  interrupted(atMs: number): void {
    const silence = this.#silence;
    if (silence !== null) this.#remember(silence, spanS(silence.beganMs, atMs), false);
    this.#account(this.#costs);
    this.#silence = null;
    this.#goodSinceMs = null;
    this.#own = onUplink;
    this.#other = onUplink;
  }

  /** How long the present silence is borne, since its beginning; null while there is none. */
  patienceMs(): number | null {
    return this.#silence === null ? null : this.#patienceOf(this.#silence).afterMs;
  }

  /** How long it must have been good since the last silence ended; null before any ended. */
  holdMs(): number | null {
    return this.#ended === null ? null : this.#holdOf(this.#ended).afterMs;
  }

  /** What would be borne if a silence began now, and the ground for it; null while one lasts. Costs as much as a decision. */
  foresee(atMs: number, cause: SilenceCause): { readonly patienceMs: number; readonly ground: string } | null {
    if (this.#silence !== null) return null;
    const costs = this.#costs;
    const gapS = this.#goodSinceMs === null ? null : spanS(this.#goodSinceMs, atMs);
    const safe = new WorkFunction(this.#safe.behindS);
    if (gapS !== null) safe.good(gapS, costs);
    const safePatienceS = within(this.#options.patience, 1000 * safe.patienceS(1, costs)) / 1000;
    const formerSilenceS = gapS === null ? null : (this.#memory.episodes.at(-1)?.silenceS ?? null);
    const { afterMs, ground } = this.#judgePatience({ gapS, formerSilenceS, cause, severity: 1, safePatienceS }, costs);
    return { patienceMs: afterMs, ground: ground.text };
  }

  /** Half of the silences like the present one end within so long from now, ms; null while there is none. */
  likelyLeftMs(atMs: number): number | null {
    const silence = this.#silence;
    if (silence === null) return null;
    const forecast = new Forecast(this.#memory.episodes, this.#tuning);
    const hazardOf = forecast.silence(silence.gapS, silence.formerSilenceS, silence.cause);
    return 1000 * medianLeftS(silenceSteps.edgesS, hazardOf, spanS(silence.beganMs, atMs));
  }

  /** One sentence each with its ground, for status and events; null where there is no decision. */
  explain(): { readonly patience: string | null; readonly hold: string | null } {
    return {
      patience: this.#silence === null ? null : this.#patienceOf(this.#silence).ground.text,
      hold: this.#ended === null ? null : this.#holdOf(this.#ended).ground.text,
    };
  }

  /** A few KB of JSON. A silence that lasts is not in it; one that has not been settled is, but for what it did to trust. */
  saved(): JudgementState {
    return stateOf(this.#memory, this.#safe.behindS, this.#trust);
  }

  /** Everything learned is forgotten. */
  reset(): void {
    this.#memory = new Memory([], this.#tuning);
    this.#ended = null;
    this.#trust = fullTrust;
    this.#safe.behindS = 2 * this.#costs.switchS;
  }

  /** One to two milliseconds the first time. */
  #patienceOf(silence: Silence): Decision {
    silence.patience ??= this.#judgePatience(silence, this.#costs);
    return silence.patience;
  }

  #holdOf(ended: Ended): Decision {
    ended.hold ??= this.#judgeHold(ended.lengthS, ended.silence.gapS, ended.safeHoldS, this.#costs);
    return ended.hold;
  }

  get #costs(): Costs {
    return { switchS: this.#options.switchCostMs / 1000, backup: this.#options.backupCost };
  }

  /** Within the bounds as well: they must not make the forecasts look worse than the rule that they are compared with. */
  #safePatienceS(severity: number, costs: Costs): number {
    return within(this.#options.patience, 1000 * this.#safe.patienceS(severity, costs)) / 1000;
  }

  #judgePatience(now: Pick<Silence, 'gapS' | 'formerSilenceS' | 'cause' | 'severity' | 'safePatienceS'>, costs: Costs): Decision {
    const { severity, cause, safePatienceS } = now;
    const remembered = this.#memory.episodes;
    const bounds = this.#options.patience;
    const decide = (patienceS: number, how: 'learned' | 'safe' | 'not-worse'): Decision => {
      const afterMs = within(bounds, 1000 * patienceS);
      return { afterMs, ground: patienceGround(remembered, cause, afterMs, how) };
    };
    if (severity <= costs.backup) return decide(Number.POSITIVE_INFINITY, 'not-worse');
    if (!this.#trust.believed) return decide(safePatienceS, 'safe');
    const { forecast, values } = this.#foretell(costs);
    const gapKind = kindOf(GAP_KINDS_S, now.gapS ?? GAP_KINDS_S.at(-1) ?? 0);
    const hazardOf = forecast.silence(now.gapS, now.formerSilenceS, cause);
    const { afterS } = silenceAnswer(silenceSteps, hazardOf, gapKind, severity, values, costs);
    const learnedS = this.#blend(afterS, this.#tuning.hopefulPatience * safePatienceS, 0.1);
    // A round trip costs two switches: whoever has paid that much for waiting has waited long enough, whatever was forecast.
    return decide(Math.min(learnedS, (2 * costs.switchS) / severity), 'learned');
  }

  #judgeHold(silenceS: number, gapS: number | null, safeHoldS: number, costs: Costs): Decision {
    const remembered = this.#memory.episodes;
    const decide = (holdS: number, how: 'learned' | 'safe'): Decision => {
      const afterMs = within(this.#options.hold, 1000 * holdS);
      return { afterMs, ground: holdGround(remembered, afterMs, how) };
    };
    if (!this.#trust.believed) return decide(safeHoldS, 'safe');
    const { forecast, values } = this.#foretell(costs);
    const hazardOf = forecast.good(silenceS, gapS);
    const { afterS } = goodAnswer(goodSteps, hazardOf, kindOf(SILENCE_KINDS_S, silenceS), values, costs);
    const learnedS = this.#blend(afterS, this.#tuning.hopefulHold * safeHoldS, 1);
    return decide(Math.max(learnedS, this.#tuning.leastHold * safeHoldS), 'learned');
  }

  /** Costs a millisecond, once for what is remembered: a hold and the next patience look at the same. */
  #foretell(costs: Costs): Foretold {
    const { episodes } = this.#memory;
    const former = this.#foretold;
    if (former?.episodes === episodes && former.switchS === costs.switchS && former.backup === costs.backup) return former;
    const forecast = new Forecast(episodes, this.#tuning);
    const weight = episodes.reduce((sum, { silenceS }) => sum + silenceS, 0);
    const severity = weight === 0 ? 1 : episodes.reduce((sum, e) => sum + e.severity * e.silenceS, 0) / weight;
    const values = solve(silenceSteps, goodSteps, forecast.kinds(), severity, costs);
    this.#foretold = { episodes, ...costs, forecast, values };
    return this.#foretold;
  }

  /** Between what was learned and what is right for unknown links, on a logarithmic scale. */
  #blend(learnedS: number, unknownS: number, shiftS: number): number {
    const { halfKnown } = this.#tuning;
    const unknown = halfKnown / (halfKnown + this.#memory.episodes.length);
    return (learnedS + shiftS) ** (1 - unknown) * (unknownS + shiftS) ** unknown - shiftS;
  }

  #remember(silence: Silence, silenceS: number, ended: boolean): void {
    const { gapS, cause, severity } = silence;
    this.#memory.add({ gapS, silenceS, ended, cause, severity });
  }

  #settle(nowS: number, costs: Costs): void {
    const own = settled(this.#own, nowS, costs);
    const other = settled(this.#other, nowS, costs);
    this.#own = own.follower;
    this.#other = other.follower;
    this.#trust = accounted(this.#trust, own.costS, other.costS, costs);
  }

  /** Once a decision, when the next silence begins or whenever somebody asks for it: it needs both of its halves. */
  #account(costs: Costs): void {
    const ended = this.#ended;
    if (ended === null || ended.accounted) return;
    ended.accounted = true;
    const { silence, lengthS, safeHoldS } = ended;
    const happened = { beganS: silence.beganMs / 1000, lengthS, severity: silence.severity };
    const rule = { patienceS: this.#patienceOf(silence).afterMs / 1000, holdS: this.#holdOf(ended).afterMs / 1000 };
    const own = borne(this.#own, happened, rule, costs);
    const other = borne(this.#other, happened, { patienceS: silence.safePatienceS, holdS: safeHoldS }, costs);
    this.#own = own.follower;
    this.#other = other.follower;
    this.#trust = accounted(this.#trust, own.costS, other.costS, costs);
  }
}

/** To the millisecond: what is remembered is then short in JSON. A clock that went back has measured nothing. */
function spanS(fromMs: number, toMs: number): number {
  return Math.max(0, Math.round(toMs - fromMs)) / 1000;
}

/** Where the chance to last on has halved since this age. */
function medianLeftS(edgesS: readonly number[], hazardOf: readonly number[], ageS: number): number {
  let left = 1;
  for (let step = stepOf(edgesS, ageS); step < edgesS.length; step += 1) {
    left *= 1 - (hazardOf[step] ?? 0);
    const endS = edgesS[step + 1] ?? 2 * (edgesS[step] ?? 0);
    if (left <= 0.5 && endS > ageS) return endS - ageS;
  }
  return Math.max(ageS, edgesS.at(-1) ?? 0);
}

function within(bounds: Bounds, valueMs: number): number {
  return Math.max(bounds.minMs, Math.min(bounds.maxMs, Math.round(valueMs)));
}
