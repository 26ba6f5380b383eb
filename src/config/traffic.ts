/**
 * What the file says of the traffic (via, connections, drill, metered) to the core's types, and what can be wrong between its
 * keys. Knows neither YAML's nor zod's ways.
 */
import {
  type ConnectionsConfig,
  type DrillConfig,
  MAX_VIA,
  type MeteredConfig,
  type UplinkConfig,
  type ViaConfig,
} from '../core/config.js';
import type { Family } from '../core/model.js';
import { BUILT_IN, DRILL, METERED, VIA_FALLBACK } from './defaults.js';
import { networkText } from './network.js';
import { complaint, type Path, type Report } from './problem.js';
import type { ConnectionsShape, DrillShape, MeteredShape, ViaShape } from './traffic-schema.js';
import { formatSize } from './units.js';
import { noSuchUplink } from './uplink-names.js';

// ---- metered ---------------------------------------------------------------------------------------------------------

/** @param path of the key in the uplink */
export function mergeMetered(shape: MeteredShape | undefined, path: Path, report: Report): MeteredConfig | null {
  if (shape === undefined || shape === false) return null;
  const own = shape === true ? {} : shape;
  const capBytes = own.cap ?? null;
  // A built-in budget never makes a file wrong that does not name it, and never takes more than a tenth of what there is.
  const probeBudgetBytes = own['probe-budget'] ?? Math.min(METERED.probeBudgetBytes, Math.floor((capBytes ?? Infinity) / 10));
  if (capBytes !== null && capBytes < probeBudgetBytes) {
    const wrong = complaint(
      `less than the probe-budget of ${formatSize(probeBudgetBytes)}: the probes alone would use it up`,
      null,
      'Make cap larger, or probe-budget smaller.',
    );
    report([...path, 'cap'], formatSize(capBytes), wrong);
  }
  if (capBytes === null && own['at-cap'] !== undefined) {
    report([...path, 'at-cap'], null, complaint('there is no cap to be reached', null, 'Add cap: with its size.'), 'warning');
  }
  return {
    probeBudgetBytes,
    capBytes,
    startsOnDay: own['starts-on'] ?? METERED.startsOnDay,
    atCap: own['at-cap'] ?? METERED.atCap,
  };
}

// ---- connections -----------------------------------------------------------------------------------------------------

export function mergeConnections(shape: ConnectionsShape | undefined, report: Report): ConnectionsConfig | null {
  if (shape === 'off') return null;
  const own = shape ?? {};
  const builtIn = BUILT_IN.connections;
  const failback = own.failback ?? builtIn.failback;
  if (own.drain !== undefined && failback !== 'drain') {
    const wrong = complaint(
      `with failback: ${failback} there is no deadline`,
      null,
      'Leave drain out, or write failback: drain.',
    );
    report(['connections', 'drain'], null, wrong, 'warning');
  }
  return {
    failover: own.failover ?? builtIn.failover,
    failback,
    drainMs: own.drain ?? builtIn.drainMs,
    moveUdpPorts: [...new Set(own['move-udp'] ?? builtIn.moveUdpPorts)],
    inbound: own.inbound ?? builtIn.inbound,
  };
}

// ---- via -------------------------------------------------------------------------------------------------------------

/** `order`: the names of the entries in the order of the file. */
export function mergeVia(
  shapes: Readonly<Record<string, ViaShape>>,
  order: readonly string[],
  uplinks: readonly UplinkConfig[],
  report: Report,
): ViaConfig[] {
  const entries: ViaConfig[] = [];
  for (const name of order) {
    const shape = shapes[name];
    if (shape === undefined) continue;
    const entry = viaOf(name, shape, uplinks, report);
    const other = entries.find((one) => sameTraffic(one, entry));
    if (other !== undefined) {
      const wrong = complaint(
        `entry ${other.name} chooses the same traffic and stands before it`,
        null,
        'This one is never reached.',
      );
      report(['via', name], name, wrong, 'warning');
    }
    entries.push(entry);
  }
  if (entries.length > MAX_VIA) {
    report(['via'], `${entries.length} entries`, complaint(`at most ${MAX_VIA} entries are possible`));
  }
  return entries;
}

function viaOf(name: string, shape: ViaShape, uplinks: readonly UplinkConfig[], report: Report): ViaConfig {
  const path = ['via', name];
  const { from, to, port } = shape;
  if (from !== undefined && to !== undefined && from.family !== to.family) {
    const wrong = complaint(
      `from is IPv${from.family} and to is IPv${to.family}: no packet is both`,
      null,
      'Make an entry for each family.',
    );
    report([...path, 'to'], networkText(to), wrong);
  }
  if (from === undefined && to === undefined && port === undefined) {
    const wrong = complaint(
      'nothing says which traffic is meant',
      'with from, to or port',
      'The order of the uplinks is the way of all traffic.',
    );
    report(path, name, wrong);
  }
  const family = from?.family ?? to?.family;
  const families: readonly Family[] = family === undefined ? [4, 6] : [family];
  const uplink = uplinks.find((one) => one.name === shape.uplink);
  if (uplink === undefined) {
    const names = uplinks.map((one) => one.name);
    report([...path, 'uplink'], shape.uplink, noSuchUplink(shape.uplink, names));
  } else {
    checkFamilies(path, uplink, families, uplinks, report);
  }
  return {
    name,
    uplink: shape.uplink,
    families,
    source: from === undefined ? null : networkText(from),
    destination: to === undefined ? null : networkText(to),
    protocols: port?.protocols ?? [],
    ports: port?.ports ?? null,
    fallback: shape.fallback ?? VIA_FALLBACK,
  };
}

function checkFamilies(
  path: Path,
  uplink: UplinkConfig,
  families: readonly Family[],
  uplinks: readonly UplinkConfig[],
  report: Report,
): void {
  const has = (one: UplinkConfig, family: Family): boolean => one.gateways.some((gateway) => gateway.family === family);
  const missing = families.filter((family) => !has(uplink, family));
  if (uplink.gateways.length === 0 || missing.length === 0) return;
  const text = `uplink ${uplink.name} has no IPv${missing.join(' and no IPv')} gateway`;
  if (missing.length === families.length) {
    report(path, null, complaint(`${text}: this traffic can never go by it`, null, 'Add the gateway, or name another uplink.'));
  } else if (uplinks.some((one) => missing.some((family) => has(one, family)))) {
    const hint = `Say by from or to that IPv${families.find((family) => has(uplink, family))} alone is meant, or add the gateway.`;
    report(path, null, complaint(`${text}: in that family its fallback holds always`, null, hint), 'warning');
  }
}

function sameTraffic(a: ViaConfig, b: ViaConfig): boolean {
  const key = ({ source, destination, protocols, ports }: ViaConfig): string =>
    JSON.stringify([source, destination, protocols, ports]);
  return key(a) === key(b);
}

// ---- drill -----------------------------------------------------------------------------------------------------------

export function mergeDrill(shape: DrillShape | undefined, uplinks: readonly UplinkConfig[], report: Report): DrillConfig | null {
  if (shape === undefined) return null;
  const named = shape.uplinks ?? [];
  const names = uplinks.map((uplink) => uplink.name);
  for (const [index, name] of named.entries()) {
    const path = ['drill', 'uplinks', index];
    if (!names.includes(name)) report(path, name, noSuchUplink(name, names));
    else if (named.indexOf(name) < index) report(path, name, complaint('it is named twice', null, 'Name it once.'));
  }
  const [first] = uplinks;
  if (uplinks.length === 1 && first !== undefined) {
    const hint = 'A drill tries a backup: name another uplink under uplinks:, or leave drill out.';
    report(['drill'], null, complaint(`${first.name} is the only uplink and in use already`, null, hint));
  } else if (first !== undefined && named.every((name) => names.includes(name))) {
    // What shares with the first is in use as long as it works.
    const inUse = (one: UplinkConfig): boolean => one === first || (first.tier !== null && one.tier === first.tier);
    const tried = uplinks.filter((one) => named.length === 0 || named.includes(one.name));
    if (tried.every(inUse)) {
      const wrong = complaint('it would try only what is in use anyway', null, 'Name a backup, or leave drill out.');
      report(named.length > 0 ? ['drill', 'uplinks'] : ['drill'], null, wrong, 'warning');
    }
  }
  return {
    everyDays: shape.every ?? DRILL.everyDays,
    atMinute: shape.at ?? DRILL.atMinute,
    uplinks: named,
    traffic: shape.traffic ?? DRILL.traffic,
    forMs: shape.for ?? DRILL.forMs,
  };
}
