/**
 * Lease files of `KEY=value` lines: what our hooks drop (docs/dhcp.md), what systemd-networkd keeps for each interface and
 * NetworkManager's own DHCP client likewise. Pure; takes whatever text there is.
 */
import type { Family } from '../../core/model.js';
import { delegatedPrefix, isInterfaceName, type LeaseWord, nextHop } from './word.js';

/** What a hint says that cannot be taken at its word. */
export class HintError extends Error {
  override readonly name = 'HintError';
}

/** Later lines outrank earlier ones; comments and lines without `=` are passed over. */
function pairs(text: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const at = line.indexOf('=');
    if (at > 0 && !line.startsWith('#')) found.set(line.slice(0, at).trim(), line.slice(at + 1).trim());
  }
  return found;
}

/** One file of the folder of hints. Throws a HintError that says what is wrong with it. */
export function parseHint(text: string): LeaseWord {
  const found = pairs(text);
  const name = found.get('interface') ?? '';
  if (!isInterfaceName(name)) throw new HintError('it names no interface');
  const familyText = found.get('family') ?? '';
  if (familyText !== '4' && familyText !== '6') throw new HintError('family is neither 4 nor 6');
  const family: Family = familyText === '4' ? 4 : 6;
  const gatewayText = found.get('gateway') ?? '';
  const gateway = gatewayText === '' ? null : nextHop(gatewayText, family);
  if (gatewayText !== '' && gateway === null) {
    throw new HintError(`gateway ${shown(gatewayText)} cannot be an IPv${family} next hop`);
  }
  const prefixText = found.get('prefix') ?? '';
  const prefix = prefixText === '' ? null : delegatedPrefix(prefixText);
  if (prefixText !== '' && (prefix === null || family === 4)) {
    throw new HintError(`prefix ${shown(prefixText)} cannot be a delegated IPv6 prefix`);
  }
  const expires = found.get('expires') ?? '';
  if (!/^\d{0,12}$/.test(expires)) throw new HintError(`expires ${shown(expires)} is no Unix time`);
  const source = found.get('source') ?? '';
  return {
    interface: name,
    family,
    source: /^[\p{L}\p{N} .'_-]{1,40}$/u.test(source) ? source : 'exit hook',
    gateway,
    prefix,
    expiresWallMs: expires === '' ? null : Number(expires) * 1000,
  };
}

/**
 * A lease of systemd-networkd, or of NetworkManager's own client where it still has that format. Its times count from when it
 * was written. Null when it names no router.
 * @param writtenWallMs the file's time of change
 */
export function parseSystemdLease(text: string, interfaceName: string, source: string, writtenWallMs: number): LeaseWord | null {
  const found = pairs(text);
  const classless = (found.get('CLASSLESS_ROUTES') ?? found.get('ROUTES') ?? '').split(/\s+/);
  const byRoute = classless.find((route) => route.startsWith('0.0.0.0/0,'))?.slice('0.0.0.0/0,'.length);
  const gateway = nextHop(byRoute ?? found.get('ROUTER')?.split(/\s+/)[0] ?? '', 4);
  if (gateway === null) return null;
  const lifetime = found.get('LIFETIME') ?? '';
  const lasts = /^\d{1,10}$/.test(lifetime) && Number(lifetime) < 0xffffffff;
  return {
    interface: interfaceName,
    family: 4,
    source,
    gateway,
    prefix: null,
    expiresWallMs: lasts ? writtenWallMs + Number(lifetime) * 1000 : null,
  };
}

/** Hostile text in a message: short, and without what moves a cursor. */
function shown(text: string): string {
  return `"${text.slice(0, 40).replace(/[^\x20-\x7e]/g, '?')}"`;
}
