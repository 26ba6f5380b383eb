/**
 * What a link does, as people write and read it: `fast:delay=30ms,jitter=2ms,loss=1%,rate=10mbit`. Pure.
 */
import type { LinkProfile } from './emulator.js';
import { LabError } from './errors.js';

/** What an uplink's emulated link does; both directions alike where `out` (towards the provider) and `in` say nothing else. */
export interface LinkOptions extends Partial<LinkProfile> {
  readonly out?: Partial<LinkProfile>;
  readonly in?: Partial<LinkProfile>;
}

const EXAMPLE = 'for example `--link fast:delay=30ms,jitter=2ms,loss=1%,rate=10mbit,queue=100ms`';

type Change = Partial<LinkProfile>;

const readers: Readonly<Record<string, (value: string) => Change>> = {
  delay: (value) => ({ delayMs: milliseconds(value) }),
  jitter: (value) => ({ jitterMs: milliseconds(value) }),
  queue: (value) => ({ queueMs: milliseconds(value) }),
  loss: (value) => ({ loss: share(value) }),
  duplicate: (value) => ({ duplicate: share(value) }),
  late: (value) => ({ late: share(value) }),
  'late-by': (value) => ({ lateByMs: milliseconds(value) }),
  rate: (value) => ({ rateKbitPerS: kilobits(value) }),
};

/** Throws a LabError that says what is wrong with the text. Delays are one way. */
export function parseLinkOption(text: string): { uplink: string; link: Partial<LinkProfile> } {
  const colon = text.indexOf(':');
  if (colon <= 0) throw new LabError(`"${text}" names no uplink`, EXAMPLE);
  let link: Change = {};
  for (const part of text.slice(colon + 1).split(',')) {
    const equals = part.indexOf('=');
    const reader = readers[part.slice(0, Math.max(0, equals))];
    if (reader === undefined) throw new LabError(`"${part}" is none of ${Object.keys(readers).join(', ')}`, EXAMPLE);
    link = { ...link, ...reader(part.slice(equals + 1)) };
  }
  return { uplink: text.slice(0, colon), link };
}

/** `20 ms each way, loss 1 %`. */
export function describeLink(profile: LinkProfile): string {
  const words = [`${profile.delayMs} ms each way`];
  if (profile.jitterMs > 0) words.push(`up to ${profile.jitterMs} ms of jitter`);
  if (profile.loss > 0) words.push(`loss ${Math.round(profile.loss * 1000) / 10} %`);
  if (profile.rateKbitPerS !== null) words.push(`${profile.rateKbitPerS} kbit/s`);
  return words.join(', ');
}

function milliseconds(value: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s)$/.exec(value);
  if (match === null) throw new LabError(`"${value}" is no duration`, 'write 20ms or 1.5s');
  return Number(match[1]) * (match[2] === 's' ? 1000 : 1);
}

function share(value: string): number {
  const match = /^(\d+(?:\.\d+)?)%$/.exec(value);
  if (match === null || Number(match[1]) > 100) throw new LabError(`"${value}" is no percentage`, 'write 0.5% or 30%');
  return Number(match[1]) / 100;
}

function kilobits(value: string): number {
  const match = /^(\d+(?:\.\d+)?)(kbit|mbit|gbit)$/.exec(value);
  if (match === null || Number(match[1]) === 0) throw new LabError(`"${value}" is no rate`, 'write 512kbit or 10mbit');
  return Number(match[1]) * { kbit: 1, mbit: 1000, gbit: 1_000_000 }[match[2] as 'kbit' | 'mbit' | 'gbit'];
}
