/**
 * Which connections lawfully go on by an uplink whose others are ended: those that came in from outside, and those that `via` sends
 * there. Judged by the original direction, where each entry lies; knows nothing of marks.
 */
import type { FlowSpare } from '../../core/flow.js';
import type { Family } from '../../core/model.js';
import { addressFamily, parseAddress, parseDestination } from '../netlink/address.js';
import * as nl from '../netlink/constants.js';
import { decodeAddress, encodeAddressDump } from '../netlink/objects.js';
import { addressBytes, type ConntrackEntry, IPPROTO_TCP, IPPROTO_UDP, type TupleView } from './conntrack.js';
import type { NetlinkPort } from './port.js';

/** Addresses may change while they are being listed; then once more. */
const TRIES = 3;

/** Says of an entry that lies in `bytes` whether it is left alone. */
export type Spares = (entry: ConntrackEntry, bytes: Buffer) => boolean;

interface Network {
  readonly bytes: Buffer;
  readonly length: number;
}

/**
 * Null when nothing is spared.
 * @param ownAddresses asked at most once; the content of an address, as `latin1`
 */
export function sparing(family: Family, spare: FlowSpare, ownAddresses: () => ReadonlySet<string>): Spares | null {
  const cameIn = spare.inbound ? inbound(family, spare.prefixes, ownAddresses()) : null;
  const sent = spare.via.flatMap((via) => viaOf(family, via) ?? []);
  if (cameIn === null && sent.length === 0) return null;
  return ({ orig }, bytes) => (cameIn?.(orig, bytes) ?? false) || sent.some((fits) => fits(orig, bytes));
}

type Fits = (orig: TupleView, bytes: Buffer) => boolean;

function inbound(family: Family, prefixes: readonly string[], own: ReadonlySet<string>): Fits {
  const size = addressBytes(family);
  const networks = prefixes.flatMap((prefix) => networkOf(family, prefix) ?? []);
  return ({ destination }, bytes) =>
    own.has(bytes.toString('latin1', destination, destination + size)) ||
    networks.some((network) => isWithin(network, bytes, destination));
}

/** Null when it is for the other family alone. */
function viaOf(family: Family, { source, destination, protocols, ports }: FlowSpare['via'][number]): Fits | null {
  const from = source === null ? null : networkOf(family, source);
  const to = destination === null ? null : networkOf(family, destination);
  if ((source !== null && from === null) || (destination !== null && to === null)) return null;
  const numbers: readonly number[] = protocols.map((protocol) => (protocol === 'tcp' ? IPPROTO_TCP : IPPROTO_UDP));
  return (orig, bytes) =>
    (numbers.length === 0 || numbers.includes(orig.protocol)) &&
    (ports === null || (orig.complete && orig.destinationPort >= ports.first && orig.destinationPort <= ports.last)) &&
    (from === null || isWithin(from, bytes, orig.source)) &&
    (to === null || isWithin(to, bytes, orig.destination));
}

function networkOf(family: Family, text: string): Network | null {
  return addressFamily(text) === family ? parseDestination(family, text) : null;
}

/** Asked for every entry and every network: without a view of the address for each. */
function isWithin({ bytes: network, length }: Network, bytes: Buffer, start: number): boolean {
  for (let at = 0, left = length; left > 0; at++, left -= 8) {
    const mask = left >= 8 ? 0xff : (0xff << (8 - left)) & 0xff;
    if ((((network[at] ?? 0) ^ (bytes[start + at] ?? 0)) & mask) !== 0) return false;
  }
  return true;
}

/** Every address of this machine. Throws a KernelError. */
export function ownAddresses(port: NetlinkPort, family: Family): Set<string> {
  const own = new Set<string>();
  for (let left = TRIES; left > 0; left--) {
    const sequence = port.sequences(1);
    const request = encodeAddressDump(sequence, nl.NLM_F_REQUEST | nl.NLM_F_DUMP);
    const whole = port.dump('listing addresses', sequence, request, (bytes, start, end) => {
      const found = decodeAddress(bytes.subarray(start, end));
      if (found !== null && found.family === family) own.add(parseAddress(family, found.address).toString('latin1'));
    });
    if (whole) break;
  }
  return own;
}
