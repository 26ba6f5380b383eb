/**
 * The numbers by which our objects are known, held against those in use on this machine. Pure.
 */
import { type KernelNumbers, RULE_PRIORITIES } from '../core/config.js';
import type { KernelState, RuleState } from '../core/kernel.js';
import { PROTOCOL_NAMES, TABLES } from './numbers.js';
import { complaint, type Report } from './problem.js';

export const MAIN_TABLE = 254;

export function checkNumbers(numbers: KernelNumbers, state: KernelState, report: Report): void {
  const { protocol, tableBase, ruleBase, markMask } = numbers;
  const within = (value: number, base: number, size: number): boolean => value >= base && value < base + size;
  const ourTable = (table: number): boolean => within(table, tableBase, TABLES);
  const ourPriority = (priority: number): boolean => within(priority, ruleBase, RULE_PRIORITIES);
  // Some of ours look into main, or into no table at all: these are known by their priority.
  const isOurs = (rule: RuleState): boolean =>
    rule.protocol === protocol && !rule.other && (ourTable(rule.table) || ourPriority(rule.priority));
  const once = new Set<string>();
  const tell = (key: string, found: number | string, message: string, severity: 'error' | 'warning'): void => {
    if (once.has(`${key} ${message}`)) return;
    once.add(`${key} ${message}`);
    report(['kernel', key], String(found), complaint(message, null, `Choose another ${key} under kernel:.`), severity);
  };
  for (const rule of state.rules) {
    if (isOurs(rule)) continue;
    const owner = protocolName(rule.protocol);
    if (ourPriority(rule.priority))
      tell('rule-base', ruleBase, `rule ${rule.priority}, made by ${owner}, stands among ours`, 'error');
    if (ourTable(rule.table))
      tell('table-base', tableBase, `rule ${rule.priority}, made by ${owner}, uses table ${rule.table} of ours`, 'error');
    if ((rule.mark & rule.mask & markMask) !== 0) {
      tell(
        'mark-mask',
        hex(markMask),
        `rule ${rule.priority}, made by ${owner}, looks for the mark ${hex(rule.mark)}/${hex(rule.mask)}, which shares bits with ours`,
        'error',
      );
    }
  }
  for (const route of state.routes) {
    const owner = protocolName(route.protocol);
    if (ourTable(route.table) && route.protocol !== protocol) {
      tell('table-base', tableBase, `table ${route.table} holds a route made by ${owner}`, 'error');
    }
    if (
      route.protocol === protocol &&
      !ourTable(route.table) &&
      !(route.table === MAIN_TABLE && route.destination === 'default')
    ) {
      tell(
        'protocol',
        protocol,
        `the route to ${route.destination} in table ${route.table} has this number, and is none of ours`,
        'warning',
      );
    }
  }
}

function protocolName(protocol: number): string {
  const name = PROTOCOL_NAMES[protocol];
  return name === undefined ? `protocol ${protocol}` : `${name} (protocol ${protocol})`;
}

function hex(bits: number): string {
  return `0x${(bits >>> 0).toString(16)}`;
}
