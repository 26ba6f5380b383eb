/** Amounts of data in words. Powers of 1000, as providers and config units have them. */

const UNITS = ['kB', 'MB', 'GB', 'TB', 'PB'];

/** `640 B`, `31 MB`, `15.2 GB`: one decimal below 100, none where it is 0. */
export function formatBytes(bytes: number): string {
  if (Math.round(bytes) < 1000) return `${Math.max(0, Math.round(bytes))} B`;
  let scaled = bytes / 1000;
  for (const unit of UNITS) {
    const shown = scaled < 99.95 ? Math.round(scaled * 10) / 10 : Math.round(scaled);
    // Rounded first: 999.6 MB is 1 GB.
    if (shown < 1000 || unit === UNITS.at(-1)) return `${shown} ${unit}`;
    scaled /= 1000;
  }
  return '';
}
