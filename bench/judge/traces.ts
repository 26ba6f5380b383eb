/** Recordings as the lists of outages that the rules are played on. */
import { basename } from 'node:path';
import type { Link } from '../../src/simulate/link.js';
import { readRecording } from '../../src/simulate/read/read.js';
import type { Outage } from '../../src/simulate/score/single.js';

export function outagesOf({ silences }: Pick<Link, 'silences'>): Outage[] {
  return silences.map(({ fromMs, toMs }) => ({ startS: fromMs / 1000, lengthS: (toMs - fromMs) / 1000 }));
}

/** @throws SourceError with the line, where it is no recording */
export async function readLink(path: string): Promise<Link> {
  return (await readRecording({ name: basename(path), path })).link;
}
