/**
 * Our nftables table as one transaction in nft's JSON, and its recognition. Pure: nft.ts runs it. Never names another table.
 */
import type { NftRules } from '../../core/kernel.js';
import { type Chain, IN_TABLE, interfaces, match, payload, type Rule, TABLE } from './expressions.js';
import { DEAD, flowChains, RESET_OF_THE_DEAD, resetOfTheAstray } from './flows.js';
import { translationChains } from './translation.js';

/**
 * The fingerprint (at most 128 bytes, says nft) is the comment of this set's one element. Not a rule's: to list a chain, nft 1.0.6
 * (Debian 12) reads every element of every set of its table (1.2 s with 100,000 dead), to list a set only its own. Not the
 * table's: that one it drops from its JSON.
 */
export const FINGERPRINT_SET = 'fingerprint';

/** Every chain that a version of ours ever made. A base chain cannot change its hook: it goes and comes anew. */
const CHAINS = [
  'fingerprint',
  'raw-output',
  'prerouting',
  'arriving',
  'restore',
  'route-output',
  'forward',
  'astray',
  'dead',
  'output',
  'postrouting',
  'leaving',
  'prefixes-in',
  'prefixes-out',
  'hidden',
] as const;

export type Command = object;

/**
 * The transaction that makes the table what `rules` says, or removes it (null). Rules are replaced as a whole; the dead sets
 * keep their elements as long as flows are remembered, unless all is made `afresh`.
 */
export function nftTransaction(
  fingerprint: string,
  rules: NftRules | null,
  how: 'keep-dead' | 'afresh' = 'keep-dead',
): Command[] {
  // Adding first makes a deletion succeed whether or not the thing stands.
  const cleared = [add({ table: TABLE }), { delete: { table: TABLE } }];
  if (rules === null) return cleared;
  const chains = chainsOf(rules);
  return [
    ...(how === 'afresh' ? cleared : []),
    add({ table: TABLE }),
    { flush: { table: TABLE } },
    ...CHAINS.flatMap((name) => anew({ chain: { ...IN_TABLE, name } })),
    ...fingerprintCommands(fingerprint),
    ...DEAD.flatMap(({ name, type }) => {
      const set = { set: { ...IN_TABLE, name, type, flags: ['timeout'] } };
      return rules.flows === undefined ? anew(set) : [add(set)];
    }),
    ...chains.map(({ name, hook }) => add({ chain: { ...IN_TABLE, name, ...(hook === undefined ? {} : hook) } })),
    ...chains.flatMap(({ name, rules: ofChain }) => ofChain.map((expr) => add({ rule: { ...IN_TABLE, chain: name, expr } }))),
  ];
}

function chainsOf(rules: NftRules): Chain[] {
  return [...(rules.flows === undefined ? [] : flowChains(rules.flows)), ...output(rules), ...translationChains(rules)];
}

/** What this machine itself sends. */
function output({ dropNdRedirectsOn, flows }: NftRules): Chain[] {
  const rules: Rule[] = flows === undefined ? [] : [...RESET_OF_THE_DEAD, ...resetOfTheAstray(flows)];
  if (dropNdRedirectsOn.length > 0) {
    const redirect = match(payload('icmpv6', 'type'), 'nd-redirect');
    rules.push([interfaces('oifname', dropNdRedirectsOn), redirect, { drop: null }]);
  }
  return rules.length === 0 ? [] : [{ name: 'output', hook: { type: 'filter', hook: 'output', prio: 0 }, rules }];
}

function fingerprintCommands(comment: string): Command[] {
  const set = { set: { ...IN_TABLE, name: FINGERPRINT_SET, type: 'mark' } };
  return [
    ...anew(set),
    add(set),
    add({ element: { ...IN_TABLE, name: FINGERPRINT_SET, elem: [{ elem: { val: 0, comment } }] } }),
  ];
}

function add(what: object): Command {
  return { add: what };
}

function anew(what: object): Command[] {
  return [add(what), { delete: what }];
}

/** The fingerprint in nft's listing of its set; empty when it is not of our making. Pure. */
export function fingerprintOf(listing: unknown): string {
  const set = itemsOf(listing, 'set').find((one) => one.name === FINGERPRINT_SET && isOurs(one));
  const [element]: readonly unknown[] = Array.isArray(set?.elem) ? set.elem : [];
  const elem: unknown = isRecord(element) ? element.elem : null;
  return isRecord(elem) && typeof elem.comment === 'string' ? elem.comment : '';
}

/** Whether nft's listing of chains has one of our table. Pure. */
export function listsOurChains(listing: unknown): boolean {
  return itemsOf(listing, 'chain').some(isOurs);
}

function itemsOf(listing: unknown, kind: string): Record<string, unknown>[] {
  const items: readonly unknown[] = isRecord(listing) && Array.isArray(listing.nftables) ? listing.nftables : [];
  return items.map((item) => (isRecord(item) ? item[kind] : null)).filter(isRecord);
}

function isOurs(item: Record<string, unknown>): boolean {
  return item.family === TABLE.family && item.table === TABLE.name;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
