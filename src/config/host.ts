/**
 * Addresses, host names, `host:port` and URLs as people write them, and what is wrong with those they mistype. An address
 * with a typo must never be taken for a host name: it would be looked up for ever. Resolves nothing.
 * Sources: RFC 1123 section 2.1 (host names), RFC 4007 section 11 (zones), RFC 3986 section 3.2 (authority).
 */
import { BlockList, isIPv4, isIPv6, SocketAddress } from 'node:net';
import { domainToASCII } from 'node:url';
import type { GatewayRef, HostRef } from '../core/config.js';
import type { Family } from '../core/model.js';
import { isLinkLocal } from '../core/net.js';
import { bad, didYouMean, good, type Read, type Reader } from './units.js';

/** A host as written, and the zone (`%eth0`) of a link-local address. */
export interface Host {
  readonly ref: HostRef;
  readonly zone: string | null;
}

const ADDRESS_WANTED = 'an address or a host name is wanted';
const ADDRESS_EXAMPLES = 'such as 192.168.1.253, fe80::1%eth0 or router.example.net';

const useless = new BlockList();
useless.addSubnet('0.0.0.0', 8, 'ipv4');
useless.addSubnet('224.0.0.0', 3, 'ipv4');
useless.addAddress('::', 'ipv6');
useless.addSubnet('ff00::', 8, 'ipv6');
const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

const familyName = (family: Family): 'ipv4' | 'ipv6' => (family === 4 ? 'ipv4' : 'ipv6');

/** The address or the name. */
export function hostText(host: GatewayRef): string {
  if (host.kind === 'auto') return 'auto';
  return host.kind === 'address' ? host.address : host.name;
}

/** One spelling for each address: RFC 5952 for IPv6. */
export function canonical(address: string, family: Family): string {
  return family === 4 ? address : new SocketAddress({ address, family: 'ipv6' }).address;
}

/** Whether the machine itself is an answer: it proves nothing of an uplink, but a broker or a relay may run on it. */
export type Self = 'refused' | 'allowed';

export function readHost(text: string, self: Self = 'refused'): Read<Host> {
  if (text === '') return bad(ADDRESS_WANTED, ADDRESS_EXAMPLES);
  const percent = text.indexOf('%');
  const bare = percent < 0 ? text : text.slice(0, percent);
  const zone = percent < 0 ? null : text.slice(percent + 1);
  if (isIPv4(bare) || isIPv6(bare)) return readAddress(bare, isIPv4(bare) ? 4 : 6, zone, self);
  const same: Reader<Host> = (other) => readHost(other, self);
  const slash = /^([0-9a-f.:]+)\/\d+$/i.exec(text)?.[1];
  if (slash !== undefined) return bad('a single address is wanted, not a network', null, didYouMean(slash, same));
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return bad(ADDRESS_WANTED, ADDRESS_EXAMPLES, 'A URL belongs in {http: …}.');
  const brackets = /^\[([^\]]*)\]$/.exec(text)?.[1];
  if (brackets !== undefined) {
    return bad(ADDRESS_WANTED, ADDRESS_EXAMPLES, same(brackets).ok ? `Write it without brackets: ${brackets}.` : null);
  }
  const withPort = /^(\[[^[\]]*\]|[^:[\]]+):([0-9]+)$/.exec(text);
  if (withPort !== null) {
    const hint = readHostPort(text, null, self).ok ? `To ask a port write {tcp: "${text}"}.` : null;
    return bad('a port has no place here', ADDRESS_EXAMPLES, hint);
  }
  if (/[[\]]/.test(text)) return bad(ADDRESS_WANTED, ADDRESS_EXAMPLES, 'No bracket stands in one.');
  if (text.includes(':')) return bad('looks like an IPv6 address but is none', null, ipv6Hint(bare));
  if (looksLikeIPv4(bare)) return bad('looks like an IPv4 address but is none', null, ipv4Hint(bare));
  return readName(text, self);
}

function readAddress(bare: string, family: Family, zone: string | null, self: Self): Read<Host> {
  const address = canonical(bare, family);
  const mapped = /^::ffff:([0-9.]+)$/.exec(address)?.[1];
  if (mapped !== undefined) return bad('an IPv4 address in IPv6 clothes is not wanted', null, `Did you mean ${mapped}?`);
  if (useless.check(address, familyName(family))) return bad('this address is no host: it is unspecified, multicast or reserved');
  if (self === 'refused' && loopback.check(address, familyName(family)))
    return bad('this address is the machine itself and proves nothing');
  if (zone !== null && !isLinkLocal(address))
    return bad('only an IPv6 link-local address (fe80::…) has a zone', null, `Did you mean ${bare}?`);
  if (zone !== null && interfaceComplaint(zone) !== null)
    return bad('the zone after % is not the name of an interface', 'such as fe80::1%eth0');
  return good({ ref: { kind: 'address', address, family }, zone });
}

// getaddrinfo takes 1.2.3, 0x7f.1 and the like for addresses (inet_aton(3)): surely not what was meant.
function looksLikeIPv4(text: string): boolean {
  const labels = text.split('.');
  const last = labels.at(-1) === '' ? labels.at(-2) : labels.at(-1);
  if (last !== undefined && /^(0x[0-9a-f]*|[0-9]+)$/i.test(last)) return true;
  return labels.length === 4 && labels.filter((label) => /^[0-9]{1,3}$/.test(label)).length >= 3;
}

function ipv4Hint(text: string): string {
  const labels = text.split('.');
  if (labels.some((label) => !/^[0-9]+$/.test(label))) return 'It has four numbers from 0 to 255, such as 192.168.1.253.';
  const large = labels.find((label) => Number(label) > 255);
  if (large !== undefined) return `No part of it may exceed 255: ${large.slice(0, 20)} does.`;
  if (labels.length !== 4)
    return `It has ${labels.length} ${labels.length === 1 ? 'part' : 'parts'} where four are wanted, such as 192.168.1.253.`;
  return `Did you mean ${labels.map(Number).join('.')}?`;
}

function ipv6Hint(text: string): string {
  const single = text.replace(/:{3,}/g, '::');
  if (single !== text && isIPv6(single)) return `Did you mean ${single}?`;
  if (text.split('::').length > 2) return 'The sign :: may stand in it only once.';
  const wrong = /[^0-9a-f:.]/i.exec(text)?.[0];
  if (wrong !== undefined) return `The sign ${JSON.stringify(wrong)} cannot stand in one.`;
  const long = text.split(':').find((group) => group.length > 4);
  if (long !== undefined && !long.includes('.')) return `A group has at most four digits: ${long.slice(0, 20)} has more.`;
  return 'It has eight groups of hexadecimal digits, or :: for a row of zeros, such as 2001:db8::1.';
}

function readName(text: string, self: Self): Read<Host> {
  const name = readHostName(text, self);
  return name.ok ? good({ ref: { kind: 'name', name: name.value }, zone: null }) : name;
}

/** A host name by RFC 1123; a single label (as in /etc/hosts) is one. */
export function readHostName(text: string, self: Self = 'refused'): Read<string> {
  const name = text.endsWith('.') ? text.slice(0, -1) : text;
  const lower = name.toLowerCase();
  if (self === 'refused' && (lower === 'localhost' || lower.endsWith('.localhost')))
    return bad('this name is the machine itself and proves nothing');
  if (/[^ -~]/.test(name)) {
    const ascii = domainToASCII(name);
    return bad('a host name holds ASCII letters only', null, ascii === '' ? null : `Did you mean ${ascii}?`);
  }
  if (name.includes('_')) return bad('a host name cannot hold an underscore (RFC 1123)', ADDRESS_EXAMPLES);
  if (name.length > 253) return bad('a host name has at most 253 letters');
  for (const label of name.split('.')) {
    if (label === '') return bad('two dots in a row, or one at the start, make no host name', ADDRESS_EXAMPLES);
    if (label.length > 63) return bad('a part of a host name has at most 63 letters');
    if (!/^[A-Za-z0-9-]+$/.test(label)) return bad(ADDRESS_WANTED, ADDRESS_EXAMPLES);
    if (label.startsWith('-') || label.endsWith('-')) return bad('a part of a host name cannot begin or end with a hyphen');
  }
  return good(name);
}

/** A name to ask a resolver for: unlike a host name it may hold underscores, and `.` is the root. */
export function readDomainName(text: string): Read<string> {
  if (text === '.') return good(text);
  if (isIPv4(text) || isIPv6(text)) return bad('a domain name is wanted, not an address', 'such as example.com');
  const name = text.endsWith('.') ? text.slice(0, -1) : text;
  const labels = name.split('.');
  const fine = name.length <= 253 && labels.every((label) => /^[A-Za-z0-9_-]{1,63}$/.test(label));
  return fine ? good(text) : bad('a domain name is wanted', 'such as example.com');
}

export interface HostPort extends Host {
  readonly port: number;
}

/** `host:port`, `[v6]:port`; without a port where `defaultPort` is a number. */
export function readHostPort(text: string, defaultPort: number | null, self: Self = 'refused'): Read<HostPort> {
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/.exec(text);
  if (bracketed === null && isIPv6(text.replace(/%.*$/, '')) && defaultPort === null) {
    return bad('an IPv6 address with a port stands in brackets', 'such as [2001:db8::1]:443');
  }
  const plain = isIPv6(text.replace(/%.*$/, '')) ? null : /^([^:]*):([^:]*)$/.exec(text);
  const hostText = bracketed?.[1] ?? plain?.[1] ?? text;
  const portText = bracketed !== null ? bracketed[2] : plain?.[2];
  if (bracketed === null ? /[[\]]/.test(text) : !isIPv6(hostText.replace(/%.*$/, '')))
    return bad('only an IPv6 address stands in brackets', 'such as [2001:db8::1]:443');
  const host = readHost(hostText, self);
  if (!host.ok) return host;
  if (portText === undefined) {
    if (defaultPort === null) return bad('a host and a port are wanted', 'such as example.com:443 or [2001:db8::1]:443');
    return good({ ...host.value, port: defaultPort });
  }
  const port = /^[0-9]{1,5}$/.test(portText) ? Number(portText) : 0;
  if (port < 1 || port > 65535) return bad('the port is wrong', 'from 1 to 65535 is allowed');
  return good({ ...host.value, port });
}

export interface HttpUrl extends HostPort {
  readonly url: string;
}

export function readHttpUrl(text: string): Read<HttpUrl> {
  const examples = 'such as http://example.com/ or https://example.com/health';
  if (!/^https?:\/\//i.test(text)) {
    return bad('a URL that begins with http:// or https:// is wanted', examples, didYouMean(`http://${text}`, readHttpUrl));
  }
  const authority = /^https?:\/\/([^/?#]*)/i.exec(text)?.[1] ?? '';
  if (authority.includes('@')) return bad('a URL with a user name or password is not supported', examples);
  if (/[\s\\\p{Cc}]/u.test(text)) return bad('a URL holds no blanks and no control characters', examples);
  const secure = /^https/i.test(text);
  // URL() takes http://1.2.3/ and http://0x7f.1/ for addresses: the host is read from the text, as everywhere else.
  const host = readHostPort(authority, secure ? 443 : 80);
  if (!host.ok) return host;
  if (host.value.zone !== null) return bad('a URL cannot hold a zone (%…)', examples);
  return URL.canParse(text) ? good({ ...host.value, url: text }) : bad('this is no valid URL', examples);
}

/** The name of a network interface by the kernel's rule (dev_valid_name), or what is wrong with it. */
export function interfaceComplaint(name: string): ReturnType<typeof bad> | null {
  const label = /^([^:]+):[0-9]+$/.exec(name)?.[1];
  if (label !== undefined) {
    const hint = interfaceComplaint(label) === null ? `Did you mean ${label}?` : null;
    return bad('this is the label of an address, not an interface', null, hint);
  }
  if (name === 'lo') return bad('the loopback interface leads nowhere');
  if (name.length < 1 || name.length > 15 || /[/:\s]/.test(name) || /[^!-~]/.test(name) || name === '.' || name === '..') {
    return bad(
      'the name of a network interface is wanted',
      'such as eth0, enp3s0, wan1: 1 to 15 letters, no blank, slash or colon',
    );
  }
  return null;
}
