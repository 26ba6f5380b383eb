/**
 * What of an nftables ruleset matters here: source NAT by interface, flowtables, marks that others set. Reads nft's JSON
 * (libnftables-json(5)); pure, and silent on what it does not know.
 */
import { TABLE } from '../../kernel/nft/expressions.js';
import type { RulesetFact } from './facts.js';

type MarkFact = RulesetFact['marks'][number];
type Json = Readonly<Record<string, unknown>>;

/** @param json the output of `nft -j list ruleset`, parsed */
export function readRuleset(json: unknown): RulesetFact {
  const items = listOf(field(json, 'nftables'));
  const natChains = new Set(items.flatMap((item) => natChain(field(item, 'chain'))));
  const nat: RulesetFact['nat'][number][] = [];
  const marks: MarkFact[] = [];
  for (const rule of items.map((item) => field(item, 'rule')).filter(isObject)) {
    const family = rule.family;
    if (family !== TABLE.family || rule.table !== TABLE.name) marks.push(...marksIn(rule));
    if (family !== 'ip' && family !== 'ip6' && family !== 'inet') continue;
    const expressions = listOf(rule.expr);
    // iptables-nft: the target is opaque (`xt`); in a nat chain at postrouting it is all but surely source NAT.
    const opaque = natChains.has(chainKey(rule, 'chain')) && expressions.some((expression) => hasKey(expression, 'xt'));
    if (!opaque && !expressions.some((expression) => hasKey(expression, 'masquerade') || hasKey(expression, 'snat'))) continue;
    nat.push({ family, ...interfacesOf(expressions) });
  }
  const flowtables = items.flatMap((item) => {
    const flowtable = field(item, 'flowtable');
    return isObject(flowtable) ? [`${String(flowtable.family)} ${String(flowtable.table)} ${String(flowtable.name)}`] : [];
  });
  return { nat, flowtables, marks };
}

function natChain(chain: unknown): string[] {
  return isObject(chain) && chain.type === 'nat' && chain.hook === 'postrouting' ? [chainKey(chain, 'name')] : [];
}

function chainKey(object: Json, name: 'chain' | 'name'): string {
  return `${String(object.family)}/${String(object.table)}/${String(object[name])}`;
}

function marksIn(rule: Json): MarkFact[] {
  return listOf(rule.expr).flatMap((expression) => {
    const mangle = field(expression, 'mangle');
    const key = field(mangle, 'key');
    const of = (['meta', 'ct'] as const).find((one) => field(field(key, one), 'key') === 'mark');
    const change = of === undefined ? null : changeOf(field(mangle, 'value'), of);
    if (of === undefined || change === null) return [];
    return [{ chain: `${String(rule.family)} ${String(rule.table)} ${String(rule.chain)}`, of, ...change }];
  });
}

/** `5`, `mark | 5`, `mark & 0xff`, `mark ^ 5` and what is nested of these; null = it comes from elsewhere and cannot be told. */
function changeOf(value: unknown, of: 'meta' | 'ct'): { readonly bits: number; readonly written: number } | null {
  if (typeof value === 'number') return { bits: value >>> 0, written: 0xffffffff };
  if (field(field(value, of), 'key') === 'mark') return { bits: 0, written: 0 };
  const operator = (['|', '&', '^'] as const).find((one) => hasKey(value, one));
  const [left, right] = operator === undefined ? [] : listOf(field(value, operator));
  const former = left === undefined ? null : changeOf(left, of);
  if (former === null || typeof right !== 'number') return null;
  if (operator === '&') return { bits: (former.bits & right) >>> 0, written: (former.written | ~right) >>> 0 };
  return { bits: (former.bits | right) >>> 0, written: (former.written | right) >>> 0 };
}

/** By which interfaces a rule applies: `oifname "wan1"`, `oifname { a, b }`, `oifname != "lan0"`; none of these = any. */
function interfacesOf(expressions: readonly unknown[]): { interfaces: readonly string[] | null; except: readonly string[] } {
  for (const match of expressions.map((expression) => field(expression, 'match')).filter(isObject)) {
    const key = field(field(match.left, 'meta'), 'key');
    if (key !== 'oifname' && key !== 'oif') continue;
    const names = namesIn(match.right);
    return match.op === '!=' ? { interfaces: null, except: names } : { interfaces: names, except: [] };
  }
  return { interfaces: null, except: [] };
}

function namesIn(right: unknown): string[] {
  if (typeof right === 'string') return [right];
  return listOf(field(right, 'set')).filter((name) => typeof name === 'string');
}

function field(value: unknown, key: string): unknown {
  return isObject(value) ? value[key] : undefined;
}

function hasKey(value: unknown, key: string): boolean {
  return isObject(value) && key in value;
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
