/**
 * Addresses that change on the way out: 1:1 prefixes first, then masquerade. Pure. Both are conntrack's business: an open
 * connection keeps what it began with, and prefixes are not RFC 6296 (checksum-neutral, stateless).
 */
import type { NftRules, PrefixTranslation } from '../../core/kernel.js';
import {
  type Chain,
  cameInBy,
  type Expression,
  interfaces,
  joined,
  leavesBy,
  match,
  payload,
  prefix,
  type Rule,
} from './expressions.js';

/**
 * The first table that translates a connection is the only one (other tables' are at -100 and 100). A prefix is more particular
 * than the masquerade that most gateways have already: before it. All else is behind, for theirs is more particular than ours.
 */
const DSTNAT = -90;
const SRCNAT_PREFIXES = 90;
const SRCNAT = 110;

export function translationChains({ masquerade = [], prefixes = [] }: NftRules): Chain[] {
  const chain = (name: string, hook: string, prio: number, rules: readonly Rule[]): Chain[] =>
    rules.length === 0 ? [] : [{ name, hook: { type: 'nat', hook, prio }, rules }];
  return [
    ...chain('prefixes-in', 'prerouting', DSTNAT, prefixes.map(inwards)),
    ...chain('prefixes-out', 'postrouting', SRCNAT_PREFIXES, prefixes.map(outwards)),
    ...chain(
      'hidden',
      'postrouting',
      SRCNAT,
      joined(masquerade).map((way) => [...leavesBy(way), { masquerade: null }]),
    ),
  ];
}

function outwards({ way, inside, outside }: PrefixTranslation): Rule {
  return [...leavesBy(way), match(payload('ip6', 'saddr'), prefix(inside)), translate('snat', outside)];
}

function inwards({ way, inside, outside }: PrefixTranslation): Rule {
  return [
    // Where the router's MAC is not known the address must tell.
    ...(cameInBy(way) ?? [interfaces('iifname', [way.interface])]),
    match(payload('ip6', 'daddr'), prefix(outside)),
    // This machine may itself have an address of that prefix: it stays reachable.
    match({ fib: { result: 'type', flags: ['daddr'] } }, 'local', '!='),
    translate('dnat', inside),
  ];
}

/** Without the flag nft takes the prefix for a range to choose any address from. */
function translate(how: 'snat' | 'dnat', network: string): Expression {
  return { [how]: { family: 'ip6', addr: prefix(network), flags: 'netmap', type_flags: 'prefix' } };
}
