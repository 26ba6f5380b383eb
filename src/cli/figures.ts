/** Figures as people read them: times of day, bytes, shares, round trips. Pure. */

export function formatShare(share: number): string {
  const percent = share * 100;
  return `${percent === 0 || percent >= 10 ? Math.round(percent) : percent.toFixed(1)} %`;
}

export function formatRtt(ms: number): string {
  return `${ms < 100 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

const BYTE_UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** Powers of 1000, as providers count: `0 B`, `31 MB`, `12.3 GB`. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  // Rounded before the unit is chosen: 999.96 MB must not become `1000 MB`.
  while (rounded(value) >= 1000 && unit < BYTE_UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${rounded(value)} ${BYTE_UNITS[unit]}`;
}

/** One decimal below 100, none above. */
function rounded(value: number): number {
  return value < 99.95 ? Math.round(value * 10) / 10 : Math.round(value);
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
