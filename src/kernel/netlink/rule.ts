/**
 * Policy rule messages (struct fib_rule_hdr, linux/fib_rules.h) <-> RuleState. Pure bytes; knows no socket.
 * Every rule with a selector or an action that RuleState has no word for is read as `other`, and never written.
 */
import type { RuleState } from '../../core/kernel.js';
import { KernelError } from '../error.js';
import { formatAddress, parseDestination } from './address.js';
import * as nl from './constants.js';
import { forEachAttribute, MalformedError, MessageBuilder, need, text, u8, u16, u32 } from './wire.js';

const HEADER_LENGTH = 12;
/** "not set", as the kernel dumps it with every rule */
const NO_SUPPRESSION = 0xffffffff;
/** what the kernel makes of a single port; any other mask is a selector of its own */
const WHOLE_PORT = 0xffff;

type Optional = { -readonly [K in 'source' | 'destination' | 'incoming' | 'ipProtocol' | 'ports' | 'suppress']?: RuleState[K] };

/** Throws a MalformedError. Null for a family other than IPv4 and IPv6. */
export function decodeRule(body: Buffer): RuleState | null {
  need(body, HEADER_LENGTH, 'rule message');
  const [familyNumber, destinationLength = 0, sourceLength = 0, tos, shortTable = 0, , , action] = body;
  const family = familyNumber === nl.AF_INET ? 4 : familyNumber === nl.AF_INET6 ? 6 : null;
  if (family === null) return null;
  let table = shortTable;
  let priority = 0;
  let mark = 0;
  let mask = 0;
  let protocol = 0;
  const optional: Optional = {};
  const unreachable = action === nl.FR_ACT_UNREACHABLE;
  let other = tos !== 0 || (action !== nl.FR_ACT_TO_TBL && !unreachable) || (body.readUInt32LE(8) & ~nl.FIB_RULE_PERMANENT) !== 0;
  forEachAttribute(body, HEADER_LENGTH, (type, value) => {
    switch (type) {
      case nl.FRA.destination:
        optional.destination = `${formatAddress(family, value)}/${destinationLength}`;
        break;
      case nl.FRA.source:
        optional.source = `${formatAddress(family, value)}/${sourceLength}`;
        break;
      case nl.FRA.incoming:
        optional.incoming = text(value);
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
      case nl.FRA.ipProtocol:
        optional.ipProtocol = u8(value);
        break;
      case nl.FRA.destinationPorts:
        optional.ports = portsOf(value);
        break;
      case nl.FRA.destinationPortMask:
        if (u16(value) !== WHOLE_PORT) other = true;
        break;
      case nl.FRA.suppressPrefixlen:
        if (u32(value) !== NO_SUPPRESSION) optional.suppress = u32(value);
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
    ...optional,
    ...(unreachable ? { action: 'unreachable' as const } : {}),
    // A length without its address is none of ours.
    other:
      other ||
      (destinationLength !== 0 && optional.destination === undefined) ||
      (sourceLength !== 0 && optional.source === undefined),
  };
}

/** struct fib_rule_port_range */
function portsOf(value: Buffer): { first: number; last: number } {
  if (value.length < 4) throw new MalformedError(`${value.length} bytes for a range of ports`);
  return { first: value.readUInt16LE(0), last: value.readUInt16LE(2) };
}

/** Throws a KernelError EINVAL for a rule with selectors that RuleState does not hold, and for numbers that are none. */
export function encodeRule(messageType: number, flags: number, sequence: number, rule: RuleState): Buffer {
  if (rule.other) throw new KernelError('EINVAL', 'rule', 'this rule has selectors or an action that cannot be written');
  const head = Buffer.alloc(HEADER_LENGTH);
  head[0] = rule.family === 4 ? nl.AF_INET : nl.AF_INET6;
  const destination = rule.destination === undefined ? null : parseDestination(rule.family, rule.destination);
  const source = rule.source === undefined ? null : parseDestination(rule.family, rule.source);
  head[1] = destination?.length ?? 0;
  head[2] = source?.length ?? 0;
  head[4] = rule.table < 256 ? rule.table : 0;
  head[7] = rule.action === 'unreachable' ? nl.FR_ACT_UNREACHABLE : nl.FR_ACT_TO_TBL;
  const message = new MessageBuilder(messageType, flags, sequence)
    .fixed(head)
    .u32(nl.FRA.priority, rule.priority)
    .u32(nl.FRA.table, rule.table)
    .u8(nl.FRA.protocol, rule.protocol);
  if (rule.mark !== 0 || rule.mask !== 0) message.u32(nl.FRA.fwmark, rule.mark).u32(nl.FRA.fwmask, rule.mask);
  if (destination !== null) message.attribute(nl.FRA.destination, destination.bytes);
  if (source !== null) message.attribute(nl.FRA.source, source.bytes);
  if (rule.incoming !== undefined) message.attribute(nl.FRA.incoming, Buffer.from(`${rule.incoming}\0`));
  if (rule.ipProtocol !== undefined) message.u8(nl.FRA.ipProtocol, rule.ipProtocol);
  if (rule.ports !== undefined) message.attribute(nl.FRA.destinationPorts, portBytes(rule.ports));
  if (rule.suppress !== undefined) message.u32(nl.FRA.suppressPrefixlen, rule.suppress);
  return message.finish();
}

function portBytes({ first, last }: { first: number; last: number }): Buffer {
  const valid = (port: number): boolean => Number.isInteger(port) && port >= 1 && port <= 0xffff;
  if (!valid(first) || !valid(last)) throw new KernelError('EINVAL', 'rule', `not a range of ports: ${first}-${last}`);
  const bytes = Buffer.alloc(4);
  bytes.writeUInt16LE(first, 0);
  bytes.writeUInt16LE(last, 2);
  return bytes;
}
