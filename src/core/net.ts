/**
 * Questions about addresses as text, zones included, for code that holds them as the kernel and the config write them.
 * Input is trusted to be valid: config/ has checked it, or the kernel made it.
 */
import { isLinkLocal as bytesAreLinkLocal, inNetwork as bytesInNetwork, parseAddress } from './address.js';

/** `fe80::1%eth0` -> [`fe80::1`, `eth0`]. */
export function splitZone(address: string): readonly [string, string | null] {
  const at = address.indexOf('%');
  return at < 0 ? [address, null] : [address.slice(0, at), address.slice(at + 1)];
}

function bytesOf(address: string): Uint8Array | null {
  return parseAddress(splitZone(address)[0]);
}

export function isLinkLocal(address: string): boolean {
  const bytes = bytesOf(address);
  return bytes !== null && bytesAreLinkLocal(bytes);
}

export function inNetwork(address: string, network: string, prefixLength: number): boolean {
  const a = bytesOf(address);
  const b = bytesOf(network);
  return a !== null && b !== null && bytesInNetwork(a, b, prefixLength);
}

/** Whatever the spelling: `fe80::1` and `FE80:0::1` are one address. */
export function sameAddress(a: string, b: string): boolean {
  return a === b || inNetwork(a, b, (bytesOf(b)?.length ?? 0) * 8);
}
