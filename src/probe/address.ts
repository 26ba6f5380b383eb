/**
 * Addresses in one spelling, so that "the answer came from the address asked" is a comparison of strings.
 * Resolves no names: an address is given or it is nothing.
 */
import { isIPv4, isIPv6, SocketAddress } from 'node:net';
import type { Family } from '../core/model.js';

/** fe80::/10, RFC 4291 section 2.5.6: means nothing without its interface */
function isLinkLocal(canonical: string): boolean {
  return /^fe[89ab][0-9a-f]:/.test(canonical);
}

/**
 * The address as Node writes it in `rinfo.address`: IPv6 compressed and in lower case (it goes through the binary form),
 * link-local ones with the interface's name as scope, others without. Null where it is no address of that family.
 */
export function canonicalAddress(address: string, family: Family, interfaceName: string): string | null {
  if (family === 4) return isIPv4(address) ? address : null;
  if (!isIPv6(address)) return null;
  const percent = address.indexOf('%');
  const bare = percent < 0 ? address : address.slice(0, percent);
  const canonical = new SocketAddress({ address: bare, family: 'ipv6' }).address;
  if (!isLinkLocal(canonical)) return canonical;
  // A scope may be written as an index; what arrives bears the name, and the path knows it.
  const scope = percent < 0 ? '' : address.slice(percent + 1);
  return `${canonical}%${scope === '' || /^\d+$/.test(scope) ? interfaceName : scope}`;
}
