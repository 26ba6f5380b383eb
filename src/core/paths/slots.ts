/** Which kernel numbers belong to which uplink: slots, kept for as long as the uplink is in the file, over restarts too. */
import { MAX_UPLINKS } from '../config.js';

/**
 * @param names uplinks in the file
 * @param current slots in use now
 * @param remembered slots of an earlier run; preferred where free, so that a restart finds its own tables
 */
export function assignSlots(
  names: readonly string[],
  current: ReadonlyMap<string, number>,
  remembered: Readonly<Record<string, number>>,
): Map<string, number> {
  const slots = new Map([...current].filter(([name]) => names.includes(name)));
  const taken = (): Set<number> => new Set(slots.values());
  for (const name of names) {
    const slot = remembered[name];
    const valid = slot !== undefined && Number.isInteger(slot) && slot >= 0 && slot < MAX_UPLINKS;
    if (valid && !slots.has(name) && !taken().has(slot)) slots.set(name, slot);
  }
  for (const name of names) {
    if (slots.has(name)) continue;
    const used = taken();
    let slot = 0;
    while (used.has(slot)) slot += 1;
    slots.set(name, slot);
  }
  return slots;
}
