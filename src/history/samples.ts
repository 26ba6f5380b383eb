/**
 * Samples of one target in one minute as bytes, and their figures. Each sample is its time within the minute (2 bytes, ms) and a
 * number of 1 to 4 bytes (7 bits each, the lowest first): 0 = lost, else the RTT in units of 10 µs plus one. Appending two such
 * texts gives a third, so a minute can be written in parts. Pure.
 */

export interface Sample {
  /** within its minute, [0, 60000) */
  readonly offsetMs: number;
  /** null = lost */
  readonly rttMs: number | null;
}

const UNIT_MS = 0.01;
/** An RTT beyond is told as this: 4 bytes of 7 bits, 44 minutes. */
const MAX_UNITS = 2 ** 28 - 2;
const MAX_BYTES = 6;

export function encodeSamples(samples: readonly Sample[]): Uint8Array {
  const bytes = new Uint8Array(samples.length * MAX_BYTES);
  let at = 0;
  for (const { offsetMs, rttMs } of samples) {
    const offset = Math.max(0, Math.min(59_999, Math.round(offsetMs)));
    bytes[at++] = offset & 0xff;
    bytes[at++] = offset >> 8;
    let rest = rttMs === null ? 0 : 1 + Math.max(0, Math.min(MAX_UNITS, Math.round(rttMs / UNIT_MS)));
    while (rest >= 0x80) {
      bytes[at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    bytes[at++] = rest;
  }
  return bytes.slice(0, at);
}

/** In order of time. What is torn at the end is left out: nothing here throws. */
export function decodeSamples(bytes: Uint8Array): Sample[] {
  const samples: Sample[] = [];
  let sorted = true;
  for (let at = 0; at + 2 < bytes.length; ) {
    const offsetMs = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);
    at += 2;
    let value = 0;
    let shift = 0;
    let byte = 0x80;
    while (byte >= 0x80 && at < bytes.length && shift < 28) {
      byte = bytes[at++] ?? 0;
      value |= (byte & 0x7f) << shift;
      shift += 7;
    }
    if (byte >= 0x80) break;
    if (offsetMs < (samples.at(-1)?.offsetMs ?? 0)) sorted = false;
    samples.push({ offsetMs, rttMs: value === 0 ? null : (value - 1) / 100 });
  }
  return sorted ? samples : samples.sort((a, b) => a.offsetMs - b.offsetMs);
}

/** Of one minute; times in ms. */
export interface MinuteFigures {
  readonly sent: number;
  readonly lost: number;
  readonly p50Ms: number | null;
  readonly p90Ms: number | null;
  readonly p99Ms: number | null;
  readonly maxMs: number | null;
  /** mean of the differences between successive answers (RFC 3393 between neighbours, its size) */
  readonly jitterMs: number | null;
}

/** @param samples in order of time. O(n log n) */
export function figuresOf(samples: readonly Sample[]): MinuteFigures {
  const rtts: number[] = [];
  let differences = 0;
  for (const { rttMs } of samples) {
    if (rttMs === null) continue;
    differences += Math.abs(rttMs - (rtts.at(-1) ?? rttMs));
    rtts.push(rttMs);
  }
  const jitterMs = rtts.length < 2 ? null : differences / (rtts.length - 1);
  rtts.sort((a, b) => a - b);
  const rank = (share: number): number | null => rtts[Math.max(0, Math.ceil(share * rtts.length) - 1)] ?? null;
  return {
    sent: samples.length,
    lost: samples.length - rtts.length,
    p50Ms: rank(0.5),
    p90Ms: rank(0.9),
    p99Ms: rank(0.99),
    maxMs: rtts.at(-1) ?? null,
    jitterMs,
  };
}
