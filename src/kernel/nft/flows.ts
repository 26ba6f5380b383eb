/**
 * The memory of which connection goes by which way out: ct mark <-> packet mark within our mask, the reset of connections that
 * were ended, and our own packets that conntrack shall not see. Pure. What the marks lead to is the policy rules' business.
 */
import type { FlowRules } from '../../core/kernel.js';
import {
  bits,
  type Chain,
  CONNECTION_MARK,
  cameInBy,
  DEAD_SETS,
  type Expression,
  interfaces,
  joined,
  jump,
  leavesBy,
  match,
  meta,
  ORIGINAL_DIRECTION,
  PACKET_MARK,
  payload,
  type Rule,
  setBits,
  type Way,
} from './expressions.js';

/** Of netfilter_ipv4.h. Conntrack is at -200, destination NAT at -100, source NAT at 100. */
const RAW = -300;
const MANGLE = -150;
/** Destinations are translated by then, as the dead are known. */
const AFTER_DNAT = -90;

const FAMILIES = [4, 6] as const;

/** The sets of {@link DEAD_SETS}, made. */
export const DEAD: readonly { readonly name: string; readonly type: readonly string[] }[] = FAMILIES.map((family) => {
  const end = [`ipv${family}_addr`, 'inet_service'];
  return { name: DEAD_SETS[family], type: [...end, ...end] };
});

const REPLY_DIRECTION = match({ ct: { key: 'direction' } }, 'reply');
const NOT_ESTABLISHED = match({ ct: { key: 'state' } }, 'established', '!=');
const NOT_THE_FIRST = match({ '&': [payload('tcp', 'flags'), ['syn', 'ack']] }, 'syn', '!=');
const NO_RESET = match({ '&': [payload('tcp', 'flags'), 'rst'] }, 0);

/**
 * What is sent on an ended connection is answered with a reset. Conntrack has forgotten it by then: a client's packet is none of an
 * established connection, unless it answers what the far side has sent after that. So a new connection from the same port is let through;
 * and so is the client's own reset, by which the far side learns it.
 */
export const RESET_OF_THE_DEAD: readonly Rule[] = FAMILIES.flatMap((family): Rule[] => {
  const ip = family === 4 ? 'ip' : 'ip6';
  const flow = [payload(ip, 'saddr'), payload('tcp', 'sport'), payload(ip, 'daddr'), payload('tcp', 'dport')];
  const dead = match({ concat: flow }, `@${DEAD_SETS[family]}`);
  const reset = { reject: { type: 'tcp reset' } };
  return [
    [dead, NOT_ESTABLISHED, NOT_THE_FIRST, reset],
    [dead, REPLY_DIRECTION, NO_RESET, reset],
  ];
});

const TCP = match(meta('l4proto'), 'tcp');
const TRANSLATED: Expression = { match: { op: 'in', left: { ct: { key: 'status' } }, right: 'snat' } };

/**
 * A connection whose addresses were translated for one way goes nowhere by another, and masquerade would drop the packet and forget
 * the connection (nf_nat_oif_changed): a client that only receives would then be beyond reach when those of a lost uplink are
 * ended. So whoever sends is told at once, here and where this machine itself sends.
 */
export function resetOfTheAstray({ mask, ways, resetAstray }: FlowRules): Rule[] {
  if (!resetAstray || new Set(ways.map((way) => way.mark)).size < 2) return [];
  const names = ways.map((way) => way.interface);
  const marked = bits(CONNECTION_MARK, mask, 0, '!=');
  return [[interfaces('oifname', names), TCP, ORIGINAL_DIRECTION, marked, TRANSLATED, jump('astray')]];
}

function astray({ mask, ways }: FlowRules): Rule[] {
  const reset = { reject: { type: 'tcp reset' } };
  // A first packet is no news of an end: forgotten and sent once more it goes by the new way.
  return joined(ways).map((way) => [
    ...leavesBy(way),
    bits(CONNECTION_MARK, mask, way.mark, '!='),
    NOT_THE_FIRST,
    NO_RESET,
    reset,
  ]);
}

export function flowChains(flows: FlowRules): Chain[] {
  const chains: Chain[] = [
    {
      name: 'raw-output',
      hook: { type: 'filter', hook: 'output', prio: RAW },
      rules: [[bits(PACKET_MARK, flows.mask, flows.untrackedMark), { notrack: null }]],
    },
    // Before it is routed: chosen traffic whose uplink is lost finds no route, and is to be told all the same. Before other
    // tables' filters, too: what is left of an ended connection looks invalid to them, and they may drop it.
    { name: 'dead', hook: { type: 'filter', hook: 'prerouting', prio: AFTER_DNAT }, rules: RESET_OF_THE_DEAD },
  ];
  const moved = resetOfTheAstray(flows);
  // In its chain before whoever jumps there.
  if (moved.length > 0) {
    chains.push({ name: 'astray', rules: astray(flows) });
    chains.push({ name: 'forward', hook: { type: 'filter', hook: 'forward', prio: 0 }, rules: moved });
  }
  return flows.ways.length === 0 ? chains : [...chains, ...marking(flows)];
}

function marking({ mask, ways, inbound }: FlowRules): Chain[] {
  const all = joined(ways);
  const names = all.map((way) => way.interface);
  const unknown = bits(CONNECTION_MARK, mask, 0);
  const remembered = [bits(PACKET_MARK, mask, 0), bits(CONNECTION_MARK, mask, 0, '!=')];
  const probeBit = (1 << (31 - Math.clz32(mask))) >>> 0;
  const marks = [...new Set(ways.map((way) => way.mark))];
  const remember = (mark: number): Expression => setBits(CONNECTION_MARK, mask, mark);
  const arriving = all.flatMap((way) => {
    const from = inbound ? cameInBy(way) : null;
    return from === null ? [] : [[...from, ...notItsRouter('saddr', way), remember(way.mark)]];
  });
  const cameIn: Rule = [interfaces('iifname', names), ORIGINAL_DIRECTION, unknown, jump('arriving')];
  return [
    { name: 'arriving', rules: arriving },
    { name: 'leaving', rules: all.map((way) => [...leavesBy(way), ...notItsRouter('daddr', way), remember(way.mark)]) },
    {
      name: 'restore',
      rules: marks.map((mark) => [bits(CONNECTION_MARK, mask, mark), setBits(PACKET_MARK, mask, mark)]),
    },
    {
      name: 'prerouting',
      hook: { type: 'filter', hook: 'prerouting', prio: MANGLE },
      rules: [
        ...(arriving.length === 0 ? [] : [cameIn]),
        ...fromElsewhere(ways).map((from) => [...remembered, ...from, jump('restore')]),
      ],
    },
    {
      // Only what goes by an uplink anyway: what this machine sends to its LAN must not leave by the WAN.
      name: 'route-output',
      hook: { type: 'route', hook: 'output', prio: MANGLE },
      rules: [[interfaces('oifname', names), ...remembered, jump('restore')]],
    },
    {
      // Probes go where they are told to, whatever is active: they say nothing of where a connection goes.
      name: 'postrouting',
      hook: { type: 'filter', hook: 'postrouting', prio: MANGLE },
      rules: [[interfaces('oifname', names), ORIGINAL_DIRECTION, unknown, bits(PACKET_MARK, probeBit, 0), jump('leaving')]],
    },
  ];
}

/**
 * On a shared interface a way's router is a neighbour like any other: what is said with itself (its web page, a login to see why the
 * uplink is silent) goes nowhere beyond, and is not ended with what does.
 */
function notItsRouter(end: 'saddr' | 'daddr', { family, gateway }: Way): Rule {
  return gateway === null ? [] : [match(payload(family === 4 ? 'ip' : 'ip6', end), gateway, '!=')];
}

/**
 * Packets that do not come in by an uplink. Where a shared interface's routers are not known by MAC, theirs count as well: the
 * policy rules look into main's specific routes first, so what is bound for the LAN stays there.
 */
function fromElsewhere(ways: FlowRules['ways']): Rule[] {
  const shared = new Set(ways.filter((way) => way.gateway !== null).map((way) => way.interface));
  const others = interfaces(
    'iifname',
    ways.map((way) => way.interface),
    '!=',
  );
  const beside = [...shared].map((name): Rule => {
    const macs = new Set(ways.flatMap((way) => (way.interface === name && way.mac !== null ? [way.mac] : [])));
    const routers = macs.size === 0 ? [] : [match(payload('ether', 'saddr'), { set: [...macs] }, '!=')];
    return [interfaces('iifname', [name]), ...routers];
  });
  return [[others], ...beside];
}
