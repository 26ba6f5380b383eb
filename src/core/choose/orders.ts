/** What the administrator ordered: which uplink is forced, which are disabled. Outlives the process through SavedState. */
import type { Command } from '../messages.js';
import type { Admin } from '../model.js';

export interface Orders {
  readonly forced: string | null;
  readonly disabled: readonly string[];
}

export function obey(orders: Orders, command: Command): Orders {
  switch (command.verb) {
    case 'force':
      return { forced: command.uplink, disabled: orders.disabled.filter((name) => name !== command.uplink) };
    case 'disable':
      return {
        forced: orders.forced === command.uplink ? null : orders.forced,
        disabled: [...new Set([...orders.disabled, command.uplink])].sort(),
      };
    case 'enable':
      return { ...orders, disabled: orders.disabled.filter((name) => name !== command.uplink) };
    case 'auto':
      return { forced: null, disabled: [] };
    case 'drill':
    case 'forget':
      return orders;
  }
}

/** Orders for uplinks that the file no longer has are dropped. */
export function ordersFor(orders: Orders, names: readonly string[]): Orders {
  const forced = orders.forced !== null && names.includes(orders.forced) ? orders.forced : null;
  return { forced, disabled: orders.disabled.filter((name) => names.includes(name)) };
}

export function adminOf(orders: Orders, uplink: string): Admin {
  if (orders.forced === uplink) return 'forced';
  return orders.disabled.includes(uplink) ? 'disabled' : 'auto';
}
