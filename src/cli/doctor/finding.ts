/** What the checks share: how a finding is made, and the few questions that several of them ask of the facts. Pure. */
import type { Family } from '../../core/model.js';
import type { Facts, Finding } from './facts.js';

export function finding(id: string, level: Finding['level'], what: string, why: string, remedy: string | null): Finding {
  return { id, level, what, why, remedy, fix: [] };
}

export function sysctlFinding(id: string, level: Finding['level'], what: string, why: string, fix: Finding['fix']): Finding {
  const settings = fix.map(([key, value]) => `${dotted(key)}='${value}'`);
  return { id, level, what, why, remedy: `sysctl -w ${settings.join(' ')}`, fix };
}

/** sysctl(8): a slash stands for a dot within a name. */
export function dotted(key: string): string {
  return key.replace(/[./]/g, (separator) => (separator === '/' ? '.' : '/'));
}

/** What the daemon sets by itself is no problem before it runs. */
export function whenDaemonSets(facts: Facts): Finding['level'] {
  return facts.daemon === null && facts.config?.sysctls === 'set' ? 'advice' : 'problem';
}

/** Interfaces that several uplinks of this family leave by: one arm. */
export function sharedInterfaces(facts: Facts, family: Family): string[] {
  const shared = facts.paths.filter((path) => path.family === family && path.shared);
  return [...new Set(shared.map((path) => path.interface))];
}

/** Interfaces that an uplink of this family has for itself. */
export function ownInterfaces(facts: Facts, family: Family): string[] {
  const owned = facts.paths.filter((path) => path.family === family && !path.shared);
  return [...new Set(owned.map((path) => path.interface))];
}

/** Whether any connection is remembered: asked for, and both of its directions come by here. */
export function remembers({ config, paths }: Facts): boolean {
  return config !== null && config.connections !== null && (config.masquerade || paths.some((path) => !path.shared));
}
