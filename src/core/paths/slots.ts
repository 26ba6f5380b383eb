/** Which kernel numbers belong to which uplink: slots, kept for as long as the uplink is in the file, over restarts too. */
import { MAX_UPLINKS } from '../config.js';

/**
 * The mark of an uplink that left the file stays on its open connections: whoever is new takes a slot that nobody had, as long as
 * there is one.
 * @param names uplinks in the file
 * @param given slots in use now, and those of uplinks that have left the file; no two the same
 * @param remembered slots of an earlier run; preferred where free, so that a restart finds its own tables
 */
export function assignSlots(
  names: readonly string[],
  given: ReadonlyMap<string, number>,
  remembered: Readonly<Record<string, number>>,
): Map<string, number> {
  const slots = new Map([...given].filter(([name]) => names.includes(name)));
  const taken = (): Set<number> => new Set(slots.values());
  for (const name of names) {
    const slot = remembered[name];
    const valid = slot !== undefined && Number.isInteger(slot) && slot >= 0 && slot < MAX_UPLINKS;
    if (valid && !slots.has(name) && !taken().has(slot)) slots.set(name, slot);
  }
  for (const name of names) {
    if (slots.has(name)) continue;
    const used = taken();
    const had = new Set([...used, ...given.values(), ...Object.values(remembered)]);
    const fresh = firstBut(had);
    slots.set(name, fresh < MAX_UPLINKS ? fresh : firstBut(used));
  }
  return slots;
}

function firstBut(taken: ReadonlySet<number>): number {
  let slot = 0;
  while (taken.has(slot)) slot += 1;
  return slot;
}

/** What was given before and is given now; whose slot has passed on has none any more. */
export function slotsGiven(former: ReadonlyMap<string, number>, now: ReadonlyMap<string, number>): Map<string, number> {
  const inUse = new Set(now.values());
  return new Map([...[...former].filter(([, slot]) => !inUse.has(slot)), ...now]);
}
