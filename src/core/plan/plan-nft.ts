/**
 * What our nftables table should do, and the fingerprint by which it is known again. Pure; how nft is told is the adapter's.
 */
import { flowMark, type KernelNumbers, untrackedMark } from '../config.js';
import type { FlowRules, NftRules, PrefixTranslation, WayOut } from '../kernel.js';
import { type PlanPath, sharedInterfaces } from './plan-path.js';

/** What the configuration wants of the table. */
export interface NftWish {
  /** redirects of ours are dropped where two uplinks share an interface */
  readonly dropRedirects: boolean;
  /** null = no connection is remembered */
  readonly connections: { readonly inbound: boolean; readonly ends: boolean } | null;
  readonly masquerade: boolean;
  /** the LAN's own prefix; null = nothing is translated */
  readonly lanPrefix: string | null;
  /** per slot the provider's prefix, of the same length */
  readonly prefixes: ReadonlyMap<number, string>;
}

/** Both directions of its connections come by here: only then can they be remembered. */
export function isWhole(path: PlanPath, paths: readonly PlanPath[], masquerade: boolean): boolean {
  if (path.place === null) return false;
  return masquerade || !sharedInterfaces(paths, path.family).includes(path.place.interface);
}

export function nftRules(paths: readonly PlanPath[], wish: NftWish, numbers: KernelNumbers): NftRules | null {
  const inOrder = paths.toSorted((a, b) => a.family - b.family || a.slot - b.slot);
  const dropNdRedirectsOn = wish.dropRedirects ? sharedInterfaces(paths, 6) : [];
  const way = (path: PlanPath): WayOut[] => {
    if (path.place === null) return [];
    const alone = !sharedInterfaces(paths, path.family).includes(path.place.interface);
    const { interface: device, gateway, mac } = path.place;
    return [{ family: path.family, interface: device, gateway: alone ? null : gateway, mac: alone ? null : mac }];
  };
  const translated = (path: PlanPath): boolean => path.family === 6 && wish.lanPrefix !== null && wish.prefixes.has(path.slot);
  const flows: FlowRules | null =
    wish.connections === null
      ? null
      : {
          mask: numbers.markMask,
          inbound: wish.connections.inbound,
          resetAstray: wish.connections.ends,
          untrackedMark: untrackedMark(numbers),
          ways: inOrder
            .filter((p) => isWhole(p, paths, wish.masquerade))
            .flatMap((p) => way(p).map((w) => ({ ...w, mark: flowMark(numbers, p.slot) }))),
        };
  const masquerade = wish.masquerade ? inOrder.filter((p) => !translated(p)).flatMap(way) : [];
  const prefixes = inOrder.flatMap((p): PrefixTranslation[] => {
    const outside = wish.prefixes.get(p.slot);
    if (!translated(p) || outside === undefined || wish.lanPrefix === null) return [];
    const inside = wish.lanPrefix;
    return way(p).map((w) => ({ way: w, inside, outside }));
  });
  const rules: NftRules = {
    dropNdRedirectsOn,
    ...(flows === null || flows.ways.length === 0 ? {} : { flows }),
    ...(masquerade.length === 0 ? {} : { masquerade }),
    ...(prefixes.length === 0 ? {} : { prefixes }),
  };
  return dropNdRedirectsOn.length === 0 && Object.keys(rules).length === 1 ? null : rules;
}

/** Changes whenever the rules do. nft takes 128 characters of comment. */
export function fingerprintOf(rules: NftRules | null): string {
  return rules === null ? 'absent' : `backroute ${FORMAT} ${digest(JSON.stringify(rules))}`;
}

/** Raised whenever the adapter makes another table of the same rules: that of an older Backroute is then written anew. */
const FORMAT = 3;

/** FNV-1a over UTF-16 code units, twice 32 bits (draft-eastlake-fnv): equal texts have equal digests, and no more is needed. */
function digest(text: string): string {
  const pass = (seed: number): string => {
    let hash = seed;
    for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
    return (hash >>> 0).toString(16).padStart(8, '0');
  };
  return pass(0x811c9dc5) + pass(0x01234567);
}
