/** Names of route protocol numbers, as iproute2 has them in rt_protos: who made a route. */

const NAMES: Readonly<Record<number, string>> = {
  0: 'unspec',
  1: 'redirect',
  2: 'kernel',
  3: 'boot',
  4: 'static',
  9: 'ra',
  11: 'zebra',
  12: 'bird',
  16: 'dhcp',
  18: 'keepalived',
  42: 'babel',
  186: 'bgp',
  187: 'isis',
  188: 'ospf',
  189: 'rip',
  192: 'eigrp',
};

/** `boot` is what a plain `ip route` or `route` command leaves behind. */
export function protocolName(protocol: number): string {
  return NAMES[protocol] ?? `protocol ${protocol}`;
}
