/**
 * The policy rules that should stand: for probes, for bound addresses, for connections that stay where they are, and for `via`.
 * Pure. Their order among each other is in their priorities (config.ts).
 */
import {
  bindingPriorityOf,
  flowMark,
  flowPriorityOf,
  flowTableOf,
  type KernelNumbers,
  probeMark,
  rulePriorityOf,
  tableOf,
  type ViaConfig,
  viaPriorityOf,
} from '../config.js';
import type { RuleState } from '../kernel.js';
import type { Family } from '../model.js';
import { MAIN_TABLE } from '../paths/topology.js';
import type { PlanPath } from './plan-path.js';

/** An address that this machine itself reaches only through one uplink, or not at all. */
export interface Binding {
  readonly family: Family;
  readonly slot: number;
  readonly address: string;
}

/** One entry of `via` in one family, as it is in force now. */
export interface ViaPlan {
  /** its place in the file: decides which entry is looked at first */
  readonly index: number;
  readonly family: Family;
  readonly match: Pick<ViaConfig, 'source' | 'destination' | 'protocols' | 'ports'>;
  /** null = blocked: told "unreachable" */
  readonly slot: number | null;
  /** without its carrier it is blocked too, and does not go like everything else */
  readonly guarded: boolean;
}

const PROTOCOL_NUMBER = { tcp: 6, udp: 17 } as const;

export function probeRule(path: PlanPath, numbers: KernelNumbers): RuleState {
  return {
    family: path.family,
    priority: rulePriorityOf(numbers, path.slot),
    table: tableOf(numbers, path.slot),
    mark: probeMark(numbers, path.slot),
    mask: numbers.markMask,
    protocol: numbers.protocol,
    other: false,
  };
}

/** What we send to this address ourselves looks into the uplink's table, guard included; what we forward does not. */
export function bindingRule(binding: Binding, numbers: KernelNumbers): RuleState {
  return {
    family: binding.family,
    priority: bindingPriorityOf(numbers, binding.slot),
    table: tableOf(numbers, binding.slot),
    mark: 0,
    mask: 0,
    protocol: numbers.protocol,
    destination: `${binding.address}/${binding.family === 4 ? 32 : 128}`,
    incoming: 'lo',
    other: false,
  };
}

/** Connections that go by this uplink stay on it, but what main has a way of its own for (LAN, VPN) goes there first. */
export function flowRules(path: PlanPath, numbers: KernelNumbers): RuleState[] {
  const rule: RuleState = {
    family: path.family,
    priority: flowPriorityOf(numbers, path.slot),
    table: MAIN_TABLE,
    mark: flowMark(numbers, path.slot),
    mask: numbers.markMask,
    protocol: numbers.protocol,
    suppress: 0,
    other: false,
  };
  const { suppress: _, ...plain } = rule;
  return [rule, { ...plain, priority: rule.priority + 1, table: flowTableOf(numbers, path.slot) }];
}

/** Traffic for the LAN and for VPNs is never meant: main's specific routes are looked at first. */
export function viaRules(via: ViaPlan, numbers: KernelNumbers): RuleState[] {
  const { match, family } = via;
  const protocols = match.protocols.length === 0 ? [null] : match.protocols;
  return protocols.flatMap((protocol, i): RuleState[] => {
    const selector = {
      family,
      mark: 0,
      mask: 0,
      protocol: numbers.protocol,
      ...(match.source === null ? {} : { source: match.source }),
      ...(match.destination === null ? {} : { destination: match.destination }),
      ...(protocol === null ? {} : { ipProtocol: PROTOCOL_NUMBER[protocol] }),
      ...(match.ports === null ? {} : { ports: match.ports }),
      other: false,
    };
    const priority = viaPriorityOf(numbers, via.index) + 2 * i;
    const last: RuleState =
      via.slot === null
        ? { ...selector, priority: priority + 1, table: 0, action: 'unreachable' }
        : { ...selector, priority: priority + 1, table: (via.guarded ? tableOf : flowTableOf)(numbers, via.slot) };
    return [{ ...selector, priority, table: MAIN_TABLE, suppress: 0 }, last];
  });
}
