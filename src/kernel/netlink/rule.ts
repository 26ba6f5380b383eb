/**
 * Policy rule messages (struct fib_rule_hdr, linux/fib_rules.h) <-> RuleState. Pure bytes; knows no socket.
 * Only rules by mark and table are ever written; every other one is read as `other`.
 */
import type { RuleState } from '../../core/kernel.js';
import { KernelError } from '../error.js';
import * as nl from './constants.js';
import { forEachAttribute, MessageBuilder, need, u8, u32 } from './wire.js';

const HEADER_LENGTH = 12;

/** Throws a MalformedError. Null for a family other than IPv4 and IPv6. */
export function decodeRule(body: Buffer): RuleState | null {
  need(body, HEADER_LENGTH, 'rule message');
  const [familyNumber, destinationLength, sourceLength, tos, shortTable = 0, , , action] = body;
  const family = familyNumber === nl.AF_INET ? 4 : familyNumber === nl.AF_INET6 ? 6 : null;
  if (family === null) return null;
  let table = shortTable;
  let priority = 0;
  let mark = 0;
  let mask = 0;
  let protocol = 0;
  let other =
    destinationLength !== 0 ||
    sourceLength !== 0 ||
    tos !== 0 ||
    action !== nl.FR_ACT_TO_TBL ||
    (body.readUInt32LE(8) & ~nl.FIB_RULE_PERMANENT) !== 0;
  forEachAttribute(body, HEADER_LENGTH, (type, value) => {
    switch (type) {
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
  return { family, priority, table, mark, mask, protocol, other };
}

/** Throws a KernelError EINVAL for a rule with selectors that RuleState does not hold. */
export function encodeRule(messageType: number, flags: number, sequence: number, rule: RuleState): Buffer {
  if (rule.other) throw new KernelError('EINVAL', 'rule', 'only rules by mark and table can be written');
  const head = Buffer.alloc(HEADER_LENGTH);
  head[0] = rule.family === 4 ? nl.AF_INET : nl.AF_INET6;
  head[4] = rule.table < 256 ? rule.table : 0;
  head[7] = nl.FR_ACT_TO_TBL;
  const message = new MessageBuilder(messageType, flags, sequence)
    .fixed(head)
    .u32(nl.FRA.priority, rule.priority)
    .u32(nl.FRA.table, rule.table)
    .u8(nl.FRA.protocol, rule.protocol);
  if (rule.mark !== 0 || rule.mask !== 0) message.u32(nl.FRA.fwmark, rule.mark).u32(nl.FRA.fwmask, rule.mask);
  return message.finish();
}
