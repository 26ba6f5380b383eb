/**
 * `via`: chosen traffic by a chosen uplink. Which entries are in force now, and what holds while an uplink does not work.
 * Pure; the rules themselves are plan-rules.ts's.
 */
import type { Config } from '../config.js';
import type { ViaView } from '../messages.js';
import type { Path } from '../paths/path.js';
import type { ViaPlan } from './plan-rules.js';

/** @param works whether connections by this path may go on */
export function viaPlans(config: Config, paths: readonly Path[], works: (path: Path) => boolean): ViaPlan[] {
  return config.via.flatMap((via, index) =>
    via.families.flatMap((family): ViaPlan[] => {
      const path = paths.find((p) => p.family === family && p.uplink.name === via.uplink);
      const slot = path?.connected === true && works(path) ? path.slot : null;
      return slot === null && via.fallback === 'balance'
        ? []
        : [{ index, family, match: via, slot, guarded: via.fallback === 'block' }];
    }),
  );
}

export function viaViews(config: Config, paths: readonly Path[], works: (path: Path) => boolean): ViaView[] {
  const plans = viaPlans(config, paths, works);
  return config.via.map((via, index) => {
    const mine = plans.filter((plan) => plan.index === index);
    const now = mine.some((plan) => plan.slot !== null) ? 'uplink' : via.fallback;
    return { name: via.name, uplink: via.uplink, now };
  });
}
