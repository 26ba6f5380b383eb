/**
 * Policy rule messages (struct fib_rule_hdr, linux/fib_rules.h) <-> RuleState. Pure bytes; knows no socket.
 * Rules by mark, destination and incoming interface are read and written; every other one is read as `other`.
 */
import type { RuleState } from '../../core/kernel.js';
import { KernelError } from '../error.js';
import { formatAddress, parseDestination } from './address.js';
import * as nl from './constants.js';
import { forEachAttribute, MessageBuilder, need, text, u8, u32 } from './wire.js';

const HEADER_LENGTH = 12;

/** Throws a MalformedError. Null for a family other than IPv4 and IPv6. */
export function decodeRule(body: Buffer): RuleState | null {
  need(body, HEADER_LENGTH, 'rule message');
  const [familyNumber, destinationLength = 0, sourceLength, tos, shortTable = 0, , , action] = body;
  const family = familyNumber === nl.AF_INET ? 4 : familyNumber === nl.AF_INET6 ? 6 : null;
  if (family === null) return null;
  let table = shortTable;
  let priority = 0;
  let mark = 0;
  let mask = 0;
  let protocol = 0;
  let destination: string | null = null;
  let incoming: string | null = null;
  let other =
    sourceLength !== 0 || tos !== 0 || action !== nl.FR_ACT_TO_TBL || (body.readUInt32LE(8) & ~nl.FIB_RULE_PERMANENT) !== 0;
  forEachAttribute(body, HEADER_LENGTH, (type, value) => {
    switch (type) {
      case nl.FRA.destination:
        destination = `${formatAddress(family, value)}/${destinationLength}`;
        break;
      case nl.FRA.incoming:
        incoming = text(value);
        break;
      case nl.FRA.priority:
        priority = u32(value);
        break;
      case nl.FRA.table:
        table = u32(value);
        break;
      case nl.FRA.fwmark:
        mark = u32(value);
        break;
      case nl.FRA.fwmask:
        mask = u32(value);
        break;
      case nl.FRA.protocol:
        protocol = u8(value);
        break;
      case nl.FRA.suppressPrefixlen:
        // Always there; -1 is "not set".
        if (u32(value) !== 0xffffffff) other = true;
        break;
      case nl.FRA.pad:
        break;
      default:
        other = true;
    }
  });
  return {
    family,
    priority,
    table,
    mark,
    mask,
    protocol,
    ...(destination === null ? {} : { destination }),
    ...(incoming === null ? {} : { incoming }),
    // A length without its address is none of ours.
    other: other || (destinationLength !== 0 && destination === null),
  };
}

/** Throws a KernelError EINVAL for a rule with selectors that RuleState does not hold. */
export function encodeRule(messageType: number, flags: number, sequence: number, rule: RuleState): Buffer {
  if (rule.other)
    throw new KernelError('EINVAL', 'rule', 'only rules by mark, destination and incoming interface can be written');
  const head = Buffer.alloc(HEADER_LENGTH);
  head[0] = rule.family === 4 ? nl.AF_INET : nl.AF_INET6;
  const destination = rule.destination === undefined ? null : parseDestination(rule.family, rule.destination);
  head[1] = destination?.length ?? 0;
  head[4] = rule.table < 256 ? rule.table : 0;
  head[7] = nl.FR_ACT_TO_TBL;
  const message = new MessageBuilder(messageType, flags, sequence)
    .fixed(head)
    .u32(nl.FRA.priority, rule.priority)
    .u32(nl.FRA.table, rule.table)
    .u8(nl.FRA.protocol, rule.protocol);
  if (rule.mark !== 0 || rule.mask !== 0) message.u32(nl.FRA.fwmark, rule.mark).u32(nl.FRA.fwmask, rule.mask);
  if (destination !== null) message.attribute(nl.FRA.destination, destination.bytes);
  if (rule.incoming !== undefined) message.attribute(nl.FRA.incoming, Buffer.from(`${rule.incoming}\0`));
  return message.finish();
}
