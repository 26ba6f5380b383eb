/** Decisions in words: what is known of the uplink, and what follows from it. */
import { quantile } from './life-table.js';
import type { Remembered, SilenceCause } from './memory.js';

export interface Ground {
  readonly text: string;
}

/** With fewer of one cause, all causes together say more. */
const FEW = 5;
/** So many recoveries are counted in words. */
const LAST_RECOVERIES = 10;

const CAUSE_WORDS: Record<SilenceCause, string> = {
  carrier: 'carrier loss',
  gateway: 'silence of its gateway',
  upstream: 'silence',
  loss: 'lossy time',
};

/** "median silence of this uplink 0.9 s, 9 of 10 end within 6 s: waiting 2 s" */
export function patienceGround(
  remembered: readonly Remembered[],
  cause: SilenceCause,
  patienceMs: number,
  how: 'learned' | 'safe' | 'not-worse',
): Ground {
  if (how === 'not-worse') return { text: 'the backup would be no better: staying' };
  const waiting = `waiting ${durationText(patienceMs)}`;
  const alike = remembered.filter((episode) => episode.cause === cause);
  const [lives, words] =
    alike.length >= FEW ? [alike, `median ${CAUSE_WORDS[cause]} of this uplink`] : [remembered, 'median silence of this uplink'];
  const lengths = lives.map(({ silenceS, weight }) => ({ lengthS: silenceS, weight }));
  const median = quantile(lengths, 0.5);
  const most = quantile(lengths, 0.9);
  if (median === null || most === null) return { text: `nothing known of this uplink yet: ${waiting}` };
  const known = lives.length < FEW ? `only ${lives.length} known, ` : '';
  const figures = `${known}${words} ${durationText(1000 * median)}, 9 of 10 end within ${durationText(1000 * most)}`;
  return { text: how === 'safe' ? `${UNRELIABLE}: ${waiting}` : `${figures}: ${waiting}` };
}

/** "it failed again within 90 s after 4 of its last 10 recoveries: staying away for 90 s" */
export function holdGround(remembered: readonly Remembered[], holdMs: number, how: 'learned' | 'safe'): Ground {
  const staying = holdMs < 500 ? 'coming back at once' : `staying away for ${durationText(holdMs)}`;
  if (how === 'safe') return { text: `${UNRELIABLE}: ${staying}` };
  const gaps = remembered.flatMap(({ gapS, formerSilenceS }) => (gapS === null || formerSilenceS === null ? [] : [gapS]));
  const last = gaps.slice(-LAST_RECOVERIES);
  if (last.length === 0) return { text: `nothing known of its recoveries yet: ${staying}` };
  const horizonMs = Math.max(holdMs, 60_000);
  const again = last.filter((gapS) => 1000 * gapS <= horizonMs).length;
  const horizon = `failed again within ${durationText(horizonMs)} after`;
  const count = again === 0 ? `none of its last ${last.length}` : `${again} of its last ${last.length}`;
  return { text: `it ${horizon} ${count} ${last.length === 1 ? 'recovery' : 'recoveries'}: ${staying}` };
}

const UNRELIABLE = 'its silences have not been as foreseen, so the rule for unknown links decides';

/** Two figures: 0.86 s, 6.2 s, 12 s, 90 s, 5 min, 3 h. */
export function durationText(ms: number): string {
  const s = ms / 1000;
  if (s < 10) return `${trimmed(s, s < 1 ? 2 : 1)} s`;
  if (s < 120) return `${Math.round(s)} s`;
  if (s < 7200) return `${trimmed(s / 60, s < 600 ? 1 : 0)} min`;
  return `${trimmed(s / 3600, s < 36_000 ? 1 : 0)} h`;
}

function trimmed(value: number, digits: number): string {
  return String(Number(value.toFixed(digits)));
}
