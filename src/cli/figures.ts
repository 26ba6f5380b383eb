/** Figures as people read them: times of day, shares, round trips. Pure. */

export function formatShare(share: number): string {
  const percent = share * 100;
  return `${percent === 0 || percent >= 10 ? Math.round(percent) : percent.toFixed(1)} %`;
}

export function formatRtt(ms: number): string {
  return `${ms < 100 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

/** `14:03:12`, with the day when it was another one. */
export function clockTime(wallMs: number, nowWallMs: number): string {
  const time = new Date(wallMs);
  const clock = [time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join(':');
  return time.toDateString() === new Date(nowWallMs).toDateString() ? clock : `${dayOf(wallMs)} ${clock}`;
}

/** `2026-03-01`, local time. */
export function dayOf(wallMs: number): string {
  const time = new Date(wallMs);
  return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
