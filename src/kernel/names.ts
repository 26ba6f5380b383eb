/**
 * Route protocol numbers and their names, as `ip route` shows them: who made a route. Reads iproute2's own files, which the
 * machine's owner may have extended; knows the usual ones without them (linux/rtnetlink.h).
 */
import { readdirSync, readFileSync } from 'node:fs';

const BUILT_IN: ReadonlyMap<number, string> = new Map([
  [0, 'unspec'],
  [1, 'redirect'],
  [2, 'kernel'],
  [3, 'boot'],
  [4, 'static'],
  [8, 'gated'],
  [9, 'ra'],
  [10, 'mrt'],
  [11, 'zebra'],
  [12, 'bird'],
  [13, 'dnrouted'],
  [14, 'xorp'],
  [15, 'ntk'],
  [16, 'dhcp'],
  [18, 'keepalived'],
  [42, 'babel'],
  [84, 'ovn'],
  [99, 'openr'],
  [186, 'bgp'],
  [187, 'isis'],
  [188, 'ospf'],
  [189, 'rip'],
  [192, 'eigrp'],
]);

/** Later files outrank earlier ones: the distributor's, then the administrator's. */
const DIRECTORIES = ['/usr/share/iproute2', '/usr/lib/iproute2', '/etc/iproute2'];

/** `number name` lines, `#` comments; numbers may be hexadecimal. Lines of another shape are passed over. Pure. */
export function parseProtocolNames(text: string): Map<number, string> {
  const names = new Map<number, string>();
  for (const line of text.split('\n')) {
    const match = /^\s*(0x[0-9a-f]{1,2}|\d{1,3})\s+([^\s#]+)/i.exec(line);
    const number = Number(match?.[1]);
    if (match?.[2] !== undefined && number <= 255) names.set(number, match[2]);
  }
  return names;
}

/** All names known on this machine. Never throws: files that are missing or unreadable add nothing. */
export function readProtocolNames(directories: readonly string[] = DIRECTORIES): ReadonlyMap<number, string> {
  const names = new Map(BUILT_IN);
  for (const directory of directories) {
    for (const file of [`${directory}/rt_protos`, ...confFiles(`${directory}/rt_protos.d`)]) {
      try {
        for (const [number, name] of parseProtocolNames(readFileSync(file, 'utf8'))) names.set(number, name);
      } catch {
        // Not there: most of them are not, on any one machine.
      }
    }
  }
  return names;
}

function confFiles(directory: string): string[] {
  try {
    return readdirSync(directory)
      .filter((name) => name.endsWith('.conf'))
      .sort()
      .map((name) => `${directory}/${name}`);
  } catch {
    return [];
  }
}

/** `dhcp`, or `proto 77` for a number without a name. */
export function protocolName(names: ReadonlyMap<number, string>, protocol: number): string {
  return names.get(protocol) ?? `proto ${protocol}`;
}
