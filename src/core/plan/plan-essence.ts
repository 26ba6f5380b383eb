/**
 * What a plan is made of, as far as choices can change it, in one short text: the same text for the same kernel means the same plan, and
 * need not be planned anew. Most choices confirm the former one. plan-input.ts reads nothing else of what changes by itself.
 */
import type { FamilyChoice } from '../choose/choice.js';
import type { Config } from '../config.js';
import type { Admin } from '../model.js';
import type { Path } from '../paths/path.js';

export interface PlanSight {
  readonly config: Config;
  readonly families: readonly FamilyChoice[];
  readonly paths: readonly Path[];
  readonly adminOf: (uplink: string) => Admin;
  /** connections by it are still to be ended */
  readonly lingers: (path: Path) => boolean;
  /** the kernel refuses something of ours */
  readonly refused: boolean;
  /** a backup is being tried */
  readonly drilled: boolean;
}

/** @returns null where more is wished than can be said so briefly. O(paths). */
export function essenceOf({ config, families, paths, adminOf, lingers, refused, drilled }: PlanSight): string | null {
  const { connections, drill, via, services } = config;
  if (connections !== null || drill !== null || via.length + services.followers.length > 0 || refused || drilled) return null;
  const chosen = families.map((f) => `${f.active} ${f.reason} ${f.sharing.map((s) => `${s.uplink}=${s.weight}`).join()}`);
  const ways = paths.map(
    (p) =>
      `${p.key} ${p.verdict.health} ${adminOf(p.uplink.name)} ${p.connected} ${p.onlink} ${p.gateway} ${p.mac} ${lingers(p)}`,
  );
  return [...chosen, ...ways].join(';');
}
