/**
 * What is said where an uplink is named that does not exist. Knows no section.
 */
import { nearest } from './nearest.js';
import { type Complaint, complaint } from './problem.js';
import { bad, good, type Reader } from './units.js';

export function noSuchUplink(name: string, uplinks: readonly string[]): Complaint {
  const meant = nearest(name, uplinks);
  return complaint(
    'there is no such uplink',
    `there are ${uplinks.join(', ')}`,
    meant === null ? null : `Did you mean ${meant}?`,
  );
}

/** Whether it exists is known only when all uplinks are. */
export const uplinkName: Reader<string> = (text) => (text === '' ? bad('the name of an uplink is wanted') : good(text));
