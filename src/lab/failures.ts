/**
 * The ways in which an uplink of the lab can fail, and how each is done and undone. Names them; lab.ts offers them.
 */
import { LabError } from './errors.js';
import type { LinkOverlay } from './link-process.js';
import { interfaceLines, SWITCH, switchPorts } from './plan.js';
import type { InterfaceSpec, Topology, UplinkSpec } from './topologies.js';

export type Failure =
  /** the link between router and provider drops everything: the gateway answers, the upstream is silent */
  | { readonly kind: 'silent' }
  /** the router is off: it answers nothing, but no carrier event tells */
  | { readonly kind: 'router' }
  /** the cable at the gateway is out: carrier lost. Only where the uplink has the interface to itself */
  | { readonly kind: 'carrier' }
  /** the gateway's interface vanishes, and comes back with its addresses alone, without routes. Where the uplink has it to itself */
  | { readonly kind: 'gone' }
  /** the router tells whoever wants to go through it that the network is unreachable (ICMP, ICMPv6) */
  | { readonly kind: 'unreachable' }
  /** this share (0..1) of packets is lost, in each direction */
  | { readonly kind: 'loss'; readonly share: number }
  /** each direction takes this much longer */
  | { readonly kind: 'slow'; readonly extraMs: number };

export type FailureKind = Failure['kind'];

/** Failures that need no number can be given by name. */
export type FailureName = Exclude<FailureKind, 'loss' | 'slow'>;

export const failureKinds: Readonly<Record<FailureKind, string>> = {
  silent: 'the link beyond the router drops everything; the router itself answers',
  router: 'the router is off; nobody sees a carrier event',
  carrier: "the gateway's cable is out (where each uplink has an interface of its own)",
  gone: "the gateway's interface vanishes, and comes back without routes (where each uplink has its own)",
  unreachable: 'the router reports "network unreachable"',
  loss: 'a share of the packets is lost (--loss PERCENT)',
  slow: 'every packet takes longer (--delay MS, each way)',
};

export function isFailureKind(kind: string): kind is FailureKind {
  return Object.hasOwn(failureKinds, kind);
}

export function describeFailure(failure: Failure): string {
  if (failure.kind === 'loss') return `loss ${Math.round(failure.share * 1000) / 10} %`;
  if (failure.kind === 'slow') return `slow by ${failure.extraMs} ms each way`;
  return failure.kind;
}

/** What has to be done: to the emulated link, or with `ip` (argument lists) in the nodes' namespaces. */
export interface FailureSteps {
  readonly overlay: LinkOverlay | null;
  readonly commands: readonly string[][];
}

/** Throws a LabError where the topology has no such failure. */
export function stepsToCut(
  topology: Topology,
  uplink: UplinkSpec,
  failure: Failure,
  namespaces: Readonly<Record<string, string>>,
): FailureSteps {
  const ip = (node: string, ...args: string[]) => ['ip', '-n', namespaces[node] ?? '', ...args];
  switch (failure.kind) {
    case 'silent':
      return { overlay: { outage: true }, commands: [] };
    case 'loss':
      return { overlay: { loss: failure.share }, commands: [] };
    case 'slow':
      return { overlay: { extraDelayMs: failure.extraMs }, commands: [] };
    case 'router':
      return {
        overlay: null,
        commands: [bridgePort(topology, uplink.router, 'disabled', namespaces)],
      };
    case 'carrier':
      if (uplink.pointToPoint) return { overlay: { noCarrier: true }, commands: [] };
      return { overlay: null, commands: [ip(SWITCH, 'link', 'set', 'dev', gatewayPort(topology, uplink), 'down')] };
    case 'gone': {
      const name = ownInterface(topology, uplink).name;
      const away = ['link', 'set', 'dev', name, 'netns', namespaces[SWITCH] ?? '', 'name', parkedName(uplink)];
      return { overlay: null, commands: [ip('gateway', ...away)] };
    }
    case 'unreachable':
      return { overlay: null, commands: unreachableRules('add', topology, uplink, ip) };
  }
}

/** Undoes {@link stepsToCut}'s commands; the link's overlay is cleared as a whole. */
export function commandsToMend(
  topology: Topology,
  uplink: UplinkSpec,
  failure: Failure,
  namespaces: Readonly<Record<string, string>>,
): string[][] {
  const ip = (node: string, ...args: string[]) => ['ip', '-n', namespaces[node] ?? '', ...args];
  switch (failure.kind) {
    case 'silent':
    case 'loss':
    case 'slow':
      return [];
    case 'router':
      return [bridgePort(topology, uplink.router, 'forwarding', namespaces)];
    case 'carrier':
      if (uplink.pointToPoint) return [];
      return [ip(SWITCH, 'link', 'set', 'dev', gatewayPort(topology, uplink), 'up')];
    case 'gone': {
      const own = ownInterface(topology, uplink);
      const back = ['link', 'set', 'dev', parkedName(uplink), 'netns', namespaces.gateway ?? '', 'name', own.name];
      return [ip(SWITCH, ...back), ...interfaceLines([own]).map((line) => ip('gateway', ...line.split(' ')))];
    }
    case 'unreachable':
      return unreachableRules('del', topology, uplink, ip);
  }
}

/** Under which name a vanished interface waits in the switch's namespace. */
function parkedName(uplink: UplinkSpec): string {
  return `gone-${uplink.name}`;
}

function unreachableRules(
  verb: 'add' | 'del',
  topology: Topology,
  uplink: UplinkSpec,
  ip: (node: string, ...args: string[]) => string[],
): string[][] {
  const segment = ownOrShared(topology, uplink)?.segment;
  const towardsGateway = topology.nodes[uplink.router]?.interfaces.find((one) => one.segment === segment);
  const rule = ['rule', verb, 'pref', '10', 'iif', towardsGateway?.name ?? '', 'unreachable'];
  return [ip(uplink.router, ...rule), ip(uplink.router, '-6', ...rule)];
}

/** `ip link set … type bridge_slave state` is accepted and does nothing (iproute2 6.1); `bridge link set` does it. */
function bridgePort(
  topology: Topology,
  node: string,
  state: 'disabled' | 'forwarding',
  namespaces: Readonly<Record<string, string>>,
): string[] {
  const port = switchPorts(topology).find((one) => one.node === node);
  if (port === undefined) {
    throw new LabError(
      `there is no router between the gateway and ${node} that could be off`,
      'use `--kind silent` or `--kind gone`',
    );
  }
  return ['bridge', '-n', namespaces[SWITCH] ?? '', 'link', 'set', 'dev', port.port, 'state', state === 'disabled' ? '0' : '3'];
}

function gatewayPort(topology: Topology, uplink: UplinkSpec): string {
  const { name } = ownInterface(topology, uplink);
  const port = switchPorts(topology).find((one) => one.node === 'gateway' && one.interface === name);
  if (port === undefined) throw new Error(`${name} has no port at the switch`);
  return port.port;
}

/** The gateway's interface that serves this uplink alone. */
function ownInterface(topology: Topology, uplink: UplinkSpec): InterfaceSpec {
  const found = ownOrShared(topology, uplink);
  if (uplink.ownsInterface && found !== undefined) return found;
  throw new LabError(
    `in ${topology.name} all uplinks share the gateway's one interface: no single one can lose its carrier or vanish`,
    'use `--kind router` or `--kind silent`, or build two-nic or three-uplinks',
  );
}

function ownOrShared(topology: Topology, uplink: UplinkSpec): InterfaceSpec | undefined {
  return topology.nodes.gateway?.interfaces.find((one) => one.name === uplink.gatewayInterface);
}
