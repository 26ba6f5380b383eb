/**
 * The few words of libnftables-json(5) that our table is written in. Pure; knows nothing of what the rules are for.
 */
import type { WayOut } from '../../core/kernel.js';
import type { Family } from '../../core/model.js';

export const TABLE = { family: 'inet', name: 'backroute' } as const;
/** The connections that were ended: saddr . sport . daddr . dport of what the peer on our side sends, destinations translated. */
export const DEAD_SETS: Readonly<Record<Family, string>> = { 4: 'dead4', 6: 'dead6' };
export const IN_TABLE = { family: TABLE.family, table: TABLE.name } as const;

/** A statement or expression of a rule, as nft's JSON wants it. */
export type Expression = Readonly<Record<string, unknown>>;
export type Rule = readonly Expression[];

/** A chain with its rules. Without a hook it is only jumped to. */
export interface Chain {
  readonly name: string;
  readonly hook?: { readonly type: 'filter' | 'nat' | 'route'; readonly hook: string; readonly prio: number };
  readonly rules: readonly Rule[];
}

export function match(left: Expression, right: unknown, op: '==' | '!=' = '=='): Expression {
  return { match: { op, left, right } };
}

export function meta(key: string): Expression {
  return { meta: { key } };
}

export function payload(protocol: string, field: string): Expression {
  return { payload: { protocol, field } };
}

export function jump(target: string): Expression {
  return { jump: { target } };
}

export const PACKET_MARK = meta('mark');
export const CONNECTION_MARK: Expression = { ct: { key: 'mark' } };
export const ORIGINAL_DIRECTION = match({ ct: { key: 'direction' } }, 'original');

/** What lies within the mask is (not) this. */
export function bits(mark: Expression, mask: number, value: number, op: '==' | '!=' = '=='): Expression {
  return match({ '&': [mark, mask] }, value, op);
}

/** Writes the bits of the mask, and leaves every other as it is. Two registers cannot be ORed: the value is a constant. */
export function setBits(mark: Expression, mask: number, value: number): Expression {
  return { mangle: { key: mark, value: { '|': [{ '&': [mark, ~mask >>> 0] }, value] } } };
}

export function interfaces(key: 'iifname' | 'oifname', names: readonly string[], op: '==' | '!=' = '=='): Expression {
  return match(meta(key), { set: [...new Set(names)].map(literalName) }, op);
}

/** A trailing asterisk would mean "every interface whose name begins so", and Linux allows one in a name. */
function literalName(name: string): string {
  return name.replace(/\*$/, '\\*');
}

/** `2001:db8:5::/64` as nft's JSON has it. */
export function prefix(network: string): Expression {
  const slash = network.lastIndexOf('/');
  return { prefix: { addr: network.slice(0, slash), len: Number(network.slice(slash + 1)) } };
}

/** A way out for the family given, or for both where one interface tells them alike. */
export type Way = Omit<WayOut, 'family'> & { readonly family: WayOut['family'] | 'both' };

/** Two ways that differ in nothing but the family become one, at the place of the first: half the rules on most machines. */
export function joined<T extends WayOut>(ways: readonly T[]): (Omit<T, 'family'> & Way)[] {
  const byWhatTells = new Map<string, Omit<T, 'family'> & Way>();
  for (const way of ways) {
    const { family, ...rest } = way;
    const told = JSON.stringify(way.gateway === null ? rest : way);
    byWhatTells.set(told, { ...way, family: (byWhatTells.get(told)?.family ?? family) === family ? family : 'both' });
  }
  return [...byWhatTells.values()];
}

/** The packet goes out by this way: in postrouting, where nobody changes it any more. */
export function leavesBy(way: Way): Rule {
  const by = interfaces('oifname', [way.interface]);
  // The next hop is that of the packet's family: it tells the family as well.
  if (way.gateway !== null) return [by, match({ rt: { key: 'nexthop', family: way.family === 4 ? 'ip' : 'ip6' } }, way.gateway)];
  return [by, ...familyOf(way)];
}

/** The packet came in by this way; null when nothing tells (a shared interface, and the router's MAC is not known). */
export function cameInBy(way: Way): Rule | null {
  if (way.gateway !== null && way.mac === null) return null;
  const from = way.mac === null ? [] : [match(payload('ether', 'saddr'), way.mac)];
  return [interfaces('iifname', [way.interface]), ...familyOf(way), ...from];
}

function familyOf(way: Way): Rule {
  return way.family === 'both' ? [] : [match(meta('nfproto'), `ipv${way.family}`)];
}
