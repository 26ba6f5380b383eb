/**
 * Networks, IPv6 prefixes and ports as people write them, and what is wrong with those they mistype. Knows no keys.
 * Sources: RFC 4632 section 3.1 and RFC 4291 section 2.3 (address/length), RFC 4193 (fc00::/7).
 */
import { isIPv4, isIPv6 } from 'node:net';
import type { ViaConfig } from '../core/config.js';
import type { Family } from '../core/model.js';
import { inNetwork, isLinkLocal } from '../core/net.js';
import { canonical, readHost } from './host.js';
import { bad, good, type Read, type Reader } from './units.js';

export interface Network {
  readonly family: Family;
  readonly address: string;
  readonly length: number;
}

const EXAMPLES = 'such as 192.168.1.0/24, 192.168.1.7 or 2001:db8:1::/48';

export function networkText({ address, length }: Network): string {
  return `${address}/${length}`;
}

export function networksOverlap(a: Network, b: Network): boolean {
  return a.family === b.family && inNetwork(a.address, b.address, Math.min(a.length, b.length));
}

/** Of `text` that was read before. */
export function splitNetwork(text: string): Network {
  const [address = '', length] = text.split('/');
  return { family: address.includes(':') ? 6 : 4, address, length: Number(length) };
}

/** What one rule can select: a network, or a single address. */
export const network: Reader<Network> = (text) => readNetwork(text, 'a network or an address is wanted', EXAMPLES);

function readNetwork(text: string, wanted: string, examples: string): Read<Network> {
  if (text === '') return bad(wanted, examples);
  const slash = text.indexOf('/');
  const bare = slash < 0 ? text : text.slice(0, slash);
  if (bare.includes('%')) return bad(wanted, examples, 'What is link-local leaves by no uplink.');
  if (!isIPv4(bare) && !isIPv6(bare)) {
    const host = readHost(bare);
    if (host.ok) return bad(wanted, examples, 'A name may get other addresses at any time: write the addresses.');
    return host.message.startsWith('looks like') && !text.includes('//') ? host : bad(wanted, examples);
  }
  const family: Family = isIPv4(bare) ? 4 : 6;
  const full = family === 4 ? 32 : 128;
  const length = slash < 0 ? full : lengthOf(text.slice(slash + 1), full);
  if (length === null) {
    const dotted = maskLength(text.slice(slash + 1));
    const hint = family === 4 && dotted !== null ? `Did you mean ${bare}/${dotted}?` : null;
    return bad('what stands behind the slash is no length', `from 1 to ${full} is allowed`, hint);
  }
  if (length === 0) return bad('this is any address', null, 'Leave it out: where nothing is said any address counts.');
  const address = canonical(bare, family);
  const start = networkAddress(address, length, family);
  if (start !== address) {
    const hint = `Did you mean ${start}/${length}, or ${address}/${full} for this address alone?`;
    return bad('this is no network: there are bits set behind its length', null, hint);
  }
  const mapped = /^::ffff:([0-9.]+)$/.exec(address)?.[1];
  if (mapped !== undefined) return bad('an IPv4 address in IPv6 clothes is not wanted', null, `Did you mean ${mapped}?`);
  if (isLinkLocal(address) || inNetwork(address, '169.254.0.0', 16))
    return bad('this is link-local: it leaves by no uplink', examples);
  if (inNetwork(address, '127.0.0.0', 8) || address === '::1') return bad('this is the machine itself', examples);
  if (inNetwork(address, '224.0.0.0', 4) || inNetwork(address, 'ff00::', 8)) return bad('this is multicast', examples);
  return good({ family, address, length });
}

function lengthOf(text: string, full: number): number | null {
  return /^[0-9]{1,3}$/.test(text) && Number(text) <= full ? Number(text) : null;
}

/** 255.255.255.0 -> 24 */
function maskLength(text: string): number | null {
  if (!isIPv4(text)) return null;
  const bits = text
    .split('.')
    .map((part) => Number(part).toString(2).padStart(8, '0'))
    .join('');
  return /^1+0*$/.test(bits) ? bits.lastIndexOf('1') + 1 : null;
}

/** With every bit behind the length cleared. */
function networkAddress(address: string, length: number, family: Family): string {
  const bytes = groupsOf(address, family);
  const width = family === 4 ? 8 : 16;
  const cleared = bytes.map((value, index) => {
    const kept = Math.max(0, Math.min(width, length - index * width));
    return value & (((1 << kept) - 1) << (width - kept));
  });
  return family === 4 ? cleared.join('.') : canonical(cleared.map((value) => value.toString(16)).join(':'), 6);
}

function groupsOf(address: string, family: Family): number[] {
  if (family === 4) return address.split('.').map(Number);
  // Canonical text may end in a dotted quad (::ffff:192.0.2.1).
  const plain = address.replace(/([0-9]+)\.([0-9]+)\.([0-9]+)\.([0-9]+)$/, (_, a, b, c, d) =>
    [Number(a) * 256 + Number(b), Number(c) * 256 + Number(d)].map((group) => group.toString(16)).join(':'),
  );
  const [head = '', tail] = plain.split('::');
  const groups = (text: string): number[] => (text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16)));
  const [front, back] = [groups(head), groups(tail ?? '')];
  return tail === undefined ? front : [...front, ...Array<number>(8 - front.length - back.length).fill(0), ...back];
}

const PREFIX_WANTED = 'an IPv6 prefix is wanted';
const PREFIX_EXAMPLES = 'such as fd00:1::/64 or 2001:db8:5::/56';
/** Shorter ones are a registry's, longer ones no network. */
const PREFIX_LENGTHS = { min: 16, max: 126 } as const;

/** An IPv6 network that can be translated to another one. */
export const prefix: Reader<Network> = (text) => {
  if (isIPv4(text.replace(/\/.*$/, '')))
    return bad(PREFIX_WANTED, PREFIX_EXAMPLES, "IPv4 is hidden behind the uplink's address by masquerade: true.");
  if (isIPv6(text)) return bad(`${PREFIX_WANTED} with its length`, PREFIX_EXAMPLES, `Did you mean ${text}/64?`);
  const read = readNetwork(text, PREFIX_WANTED, PREFIX_EXAMPLES);
  if (!read.ok) {
    // The single address that may be meant elsewhere is no prefix.
    const hint = read.hint?.replace(/, or .* alone\?$/, '?') ?? null;
    return { ...read, hint };
  }
  const { length } = read.value;
  if (length >= PREFIX_LENGTHS.min && length <= PREFIX_LENGTHS.max) return read;
  const side = length < PREFIX_LENGTHS.min ? 'too short' : 'too long';
  return bad(`this prefix is ${side}`, `a length from ${PREFIX_LENGTHS.min} to ${PREFIX_LENGTHS.max} is allowed`);
};

/** Unique local (RFC 4193): no provider carries it. */
export function isUniqueLocal(address: string): boolean {
  return inNetwork(address, 'fc00::', 7);
}

export type Ports = Pick<ViaConfig, 'protocols' | 'ports'>;

const PORT_EXAMPLES = 'such as 443, 5000-5100, tcp/25 or udp/5060';
export const PORT_PATTERN = '^((tcp|udp)/)?[0-9]{1,5}(-[0-9]{1,5})?$';

/** `N`, `N-M`, `tcp/N`, `udp/N-M`; a number alone is both protocols'. */
export const ports: Reader<Ports> = (text) => {
  if (text === '') return bad('a port is wanted', PORT_EXAMPLES);
  const parts = /^(?:([^/]*)\/)?([0-9]{1,9})(?:-([0-9]{1,9}))?$/.exec(text);
  if (parts === null) return bad('a port, or a range of ports, is wanted', PORT_EXAMPLES, portHint(text));
  const [, protocol, firstText, lastText] = parts;
  if (protocol !== undefined && protocol !== 'tcp' && protocol !== 'udp') {
    const lower = protocol.toLowerCase();
    const hint = lower === 'tcp' || lower === 'udp' ? `Did you mean ${text.toLowerCase()}?` : null;
    return bad('the protocol is tcp or udp', PORT_EXAMPLES, hint ?? 'Other protocols have no ports, or cannot be chosen.');
  }
  const first = Number(firstText);
  const last = lastText === undefined ? first : Number(lastText);
  if (first < 1 || last > 65_535 || first > 65_535) return bad('there is no such port', 'from 1 to 65535 is allowed');
  if (first > last)
    return bad('the range is the wrong way round', null, `Did you mean ${text.replace(/[0-9]+-[0-9]+$/, `${last}-${first}`)}?`);
  return good({ protocols: protocol === undefined ? ['tcp', 'udp'] : [protocol], ports: { first, last } });
};

function portHint(text: string): string | null {
  const behind = /^([0-9]+(?:-[0-9]+)?)\/(tcp|udp)$/i.exec(text);
  if (behind !== null) return `Did you mean ${behind[2]?.toLowerCase()}/${behind[1]}?`;
  const colon = /^((?:(?:tcp|udp)\/)?)([0-9]+):([0-9]+)$/.exec(text);
  if (colon !== null) return `Did you mean ${colon[1]}${colon[2]}-${colon[3]}?`;
  if (/^(tcp|udp)$/i.test(text)) return `Did you mean ${text.toLowerCase()}/1-65535?`;
  if (text.includes(',')) return 'One entry has one port or one range: make an entry of each.';
  return /^[a-z]/i.test(text) && !text.includes('/') ? 'Services are named by their number: /etc/services has it.' : null;
}
