/**
 * Whether the numbers that mark our objects in the kernel can be ours: protocol, tables, rules, mark. Pure arithmetic and
 * the names that rt_protos(5) and rt_tables(5) of iproute2 reserve.
 */
import { type KernelNumbers, OWN_TABLES } from '../core/config.js';
import { complaint, type Report } from './problem.js';

/** Tables that are ours from the base on. */
export const TABLES = OWN_TABLES;

/** The rule of table main (ip-rule(8)): ours stand before it. */
export const MAIN_PRIORITY = 32_766;

/** Bits a mark needs: six for the uplink, one for "probe". */
const MARK_BITS = 7;

/** Who else writes which number on routes: rtnetlink.h and iproute2's rt_protos. */
export const PROTOCOL_NAMES: Readonly<Record<number, string>> = {
  0: 'unspec',
  1: 'redirect',
  2: 'kernel',
  3: 'boot',
  4: 'static',
  8: 'gated',
  9: 'ra',
  10: 'mrt',
  11: 'zebra',
  12: 'bird',
  13: 'dnrouted',
  14: 'xorp',
  15: 'ntk',
  16: 'dhcp',
  17: 'mrouted',
  18: 'keepalived',
  42: 'babel',
  84: 'ovn',
  99: 'openr',
  186: 'bgp',
  187: 'isis',
  188: 'ospf',
  189: 'rip',
  192: 'eigrp',
};

export function checkKernelNumbers(numbers: KernelNumbers, report: Report): void {
  const { protocol, tableBase, markMask } = numbers;
  const owner = PROTOCOL_NAMES[protocol];
  if (owner !== undefined) {
    report(
      ['kernel', 'protocol'],
      String(protocol),
      complaint(
        `this number is ${owner}'s: its routes would be taken for ours`,
        null,
        'Numbers from 100 to 180 are free as a rule, but for 99 and what /etc/iproute2/rt_protos names.',
      ),
    );
  }
  if (tableBase <= 255 && tableBase + TABLES - 1 >= 252) {
    report(
      ['kernel', 'table-base'],
      String(tableBase),
      complaint(
        `the ${TABLES} tables from there would hold main (254), local (255) or default (253)`,
        `from 1 to ${252 - TABLES}, or 256 and more`,
      ),
    );
  }
  const bits = bitCount(markMask);
  const lowest = (markMask & -markMask) >>> 0;
  const contiguous = lowest !== 0 && Number.isInteger(Math.log2(markMask / lowest + 1));
  if (!contiguous || bits < MARK_BITS) {
    const wrong =
      markMask === 0
        ? 'no bit is set'
        : contiguous
          ? `${bits} ${bits === 1 ? 'bit is' : 'bits are'} set`
          : 'the bits are not in one row';
    report(
      ['kernel', 'mark-mask'],
      `0x${markMask.toString(16)}`,
      complaint(
        `${wrong}; at least ${MARK_BITS} bits in a row are wanted`,
        'such as 0x7f000000',
        'Six of them hold the number of the uplink, one tells probes: with fewer, two uplinks would have the same mark.',
      ),
    );
  }
}

function bitCount(mask: number): number {
  let count = 0;
  for (let rest = mask >>> 0; rest !== 0; rest = (rest & (rest - 1)) >>> 0) count++;
  return count;
}
