/** `history:`: how much is kept of outages and measurements, and for how long. */
import type * as z from 'zod/mini';
import type { HistoryConfig } from '../core/config.js';
import { BUILT_IN } from './defaults.js';
import { mapping, offOr, optional } from './leaf.js';
import { complaint, type Report } from './problem.js';
import { formatDuration } from './units.js';
import { bytes, time } from './values.js';

const { history: builtIn } = BUILT_IN;
const DAY_MS = 86_400_000;

export const history = offOr(
  mapping(
    optional({
      keep: time(
        'How long the figures of single minutes are kept; outages, switches and events stay for five years.',
        { min: DAY_MS, max: 3_650 * DAY_MS, why: 'Below, there is hardly a history; above, the disk is older than it.' },
        builtIn.keepMs,
      ),
      raw: time(
        'How long single samples are kept.',
        { min: 3_600_000, max: 3_650 * DAY_MS, why: 'A minute must be complete before it is summed up.' },
        builtIn.rawMs,
      ),
      'max-size': bytes(
        'What the file may take on the disk; then the oldest goes first: samples, minutes, events, outages.',
        { min: 5_000_000, max: 1e12, why: 'Two uplinks fill about 1.9 MB a day.' },
        builtIn.maxBytes,
      ),
    }),
    'What is kept of outages and measurements.',
  ),
  'What is kept of outages and measurements, in the state directory; off = nothing.',
);

type HistoryShape = z.output<typeof history>;

/** Null = `off`. */
export function mergeHistory(shape: HistoryShape | undefined, report: Report): HistoryConfig | null {
  if (shape === 'off') return null;
  const config = {
    keepMs: shape?.keep ?? builtIn.keepMs,
    rawMs: shape?.raw ?? builtIn.rawMs,
    maxBytes: shape?.['max-size'] ?? builtIn.maxBytes,
  };
  if (config.rawMs > config.keepMs) {
    const wrong = complaint(
      'single samples are kept for longer than the figures of their minutes',
      `keep is ${formatDuration(config.keepMs)}`,
      shape?.keep === undefined ? 'Raise keep as well.' : 'raw is meant to be the shorter one.',
    );
    report(['history', shape?.raw === undefined ? 'keep' : 'raw'], null, wrong);
  }
  return config;
}
