/** Round numbers and round times for axes. Pure. */

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const STEPS_MS = [
  ...[1, 2, 5, 10, 15, 30].map((n) => n * SECOND),
  ...[1, 2, 5, 10, 15, 30].map((n) => n * MINUTE),
  ...[1, 2, 3, 6, 12].map((n) => n * HOUR),
  ...[1, 2, 4, 7, 14, 28, 91, 182, 364].map((n) => n * DAY),
];
/** Monday, so that weeks begin on one. */
const MONDAY_MS = 4 * DAY;

export interface Tick {
  readonly at: number;
  readonly label: string;
}

/**
 * @param originWallMs Unix ms of 0 on the axis; null = the labels are lengths since the beginning
 * @param most as many ticks at most
 */
export function timeTicks(fromMs: number, toMs: number, originWallMs: number | null, most: number): Tick[] {
  const stepMs =
    STEPS_MS.find((step) => (toMs - fromMs) / step <= most) ?? Math.ceil((toMs - fromMs) / most / (364 * DAY)) * 364 * DAY;
  const zeroMs = originWallMs === null ? fromMs : (stepMs >= 7 * DAY ? MONDAY_MS : 0) - originWallMs;
  const ticks: Tick[] = [];
  let formerDay = '';
  for (let at = zeroMs + Math.ceil((fromMs - zeroMs) / stepMs) * stepMs; at <= toMs; at += stepMs) {
    if (originWallMs === null) ticks.push({ at, label: sinceLabel(at - fromMs, stepMs) });
    else {
      const [day = '', clock = ''] = new Date(originWallMs + at).toISOString().split('T');
      const time = clock.slice(0, stepMs < MINUTE ? 8 : 5);
      ticks.push({ at, label: stepMs >= DAY ? day : day === formerDay ? time : `${day.slice(5)} ${time}` });
      formerDay = day;
    }
  }
  return ticks;
}

function sinceLabel(ms: number, stepMs: number): string {
  if (ms === 0) return '0';
  if (stepMs >= DAY) return `${ms / DAY} d`;
  if (stepMs >= HOUR) return `${ms / HOUR} h`;
  const hours = Math.floor(ms / HOUR);
  const two = (value: number): string => String(value).padStart(2, '0');
  const minutes = Math.floor(ms / MINUTE) % 60;
  if (stepMs >= MINUTE) return `${hours}:${two(minutes)}`;
  return `${hours > 0 ? `${hours}:` : ''}${two(minutes)}:${two(Math.floor(ms / SECOND) % 60)}`;
}

/** From 0 up to the first round number that is not below `top`. */
export function numberTicks(top: number, most: number): number[] {
  if (!(top > 0)) return [0, 1];
  const rough = top / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((n) => n * power >= rough) ?? 10);
  return Array.from({ length: Math.ceil(top / step - 1e-9) + 1 }, (_, i) => Number((i * step).toPrecision(12)));
}
