/**
 * What follows from two uplinks leaving by one interface, once it is known which they leave by. Pure.
 */
import type { Config, UplinkConfig } from '../core/config.js';
import type { KernelState } from '../core/kernel.js';
import { countsAlone } from '../core/traffic/own-counters.js';
import { sharedCounters, sharesWith } from './between.js';
import { complaint, type Path, type Report } from './problem.js';

/** By name of an uplink: the interfaces it leaves by. */
export type Ways = Map<string, ReadonlySet<string>>;

/** `said`: whether the file says something at a path. */
export function checkWays(config: Config, ways: Ways, state: KernelState, said: (path: Path) => boolean, report: Report): void {
  const { uplinks, masquerade, connections } = config;
  const beside = (uplink: UplinkConfig): { readonly other: UplinkConfig; readonly device: string } | null => {
    for (const other of uplinks) {
      if (other === uplink) continue;
      const device = [...(ways.get(uplink.name) ?? [])].find((one) => ways.get(other.name)?.has(one) === true);
      if (device !== undefined) return { other, device };
    }
    return null;
  };
  const all = [...ways].flatMap(([uplink, devices]) => [...devices].map((device) => ({ uplink, interface: device })));
  for (const uplink of uplinks) {
    if (uplink.metered === null || uplink.metered.capBytes === null) continue;
    const at = ['uplinks', uplink.name, 'metered', 'cap'];
    const shared = beside(uplink);
    if (shared !== null) {
      report(at, null, sharedCounters(`uplink ${shared.other.name} uses ${shared.device} too`));
      continue;
    }
    const device = [...(ways.get(uplink.name) ?? [])].find(
      (one) => !countsAlone({ uplink: uplink.name, interface: one }, all, state),
    );
    if (device === undefined) continue;
    const who = `the LAN seems to be on ${device} too: there are more machines than a router, and no other interface is left for it`;
    report(at, null, sharedCounters(who), 'warning');
  }
  if (masquerade || connections === null) return;
  const half = uplinks.flatMap((uplink) => {
    const shared = beside(uplink);
    return shared === null ? [] : [{ uplink, ...shared }];
  });
  const remedy = 'Write masquerade: true, or give each uplink an interface of its own.';
  for (const { uplink, other, device } of half) {
    if (!sharesWith(uplink, uplinks).includes(other) || uplinks.indexOf(other) < uplinks.indexOf(uplink)) continue;
    const wrong = complaint(
      `it leaves by ${device} as ${other.name} does: this machine sees half of each connection and cannot hold it to one of them`,
      null,
      remedy,
    );
    report(['uplinks', uplink.name, 'tier'], null, wrong, 'warning');
  }
  // The defaults ask for what can be had; who writes the section wants it.
  const [one] = half;
  if (one !== undefined && said(['connections'])) {
    const names = half.map(({ uplink }) => uplink.name).join(', ');
    const wrong = complaint(
      `connections by ${names} are not remembered: they share ${one.device}, where only half of each is seen`,
      null,
      remedy,
    );
    report(['connections'], null, wrong, 'warning');
  }
}
