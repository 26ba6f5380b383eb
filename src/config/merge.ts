/**
 * From the typed file to the core's Config, and everything that can be wrong between several keys. Knows neither YAML's
 * nor zod's ways.
 */
import type { Config, KernelNumbers, UplinkConfig } from '../core/config.js';
import { checkUplinks, sharesWith } from './between.js';
import { mergeChannels } from './channels.js';
import { BUILT_IN } from './defaults.js';
import { mergeFollowers, mergeHooks } from './followers.js';
import { mergeHistory } from './history-schema.js';
import { checkKernelNumbers } from './numbers.js';
import { complaint, type Report } from './problem.js';
import type { FileShape } from './schema.js';
import { mergeConnections, mergeDrill, mergeVia } from './traffic.js';
import { UplinkMerger } from './uplink.js';

/** Names in the order of the file: an object would put 2 before 10. */
export interface Order {
  readonly uplinks: readonly string[];
  readonly via: readonly string[];
}

export function mergeConfig(file: FileShape, order: Order, report: Report): Config {
  const defaults = file.defaults ?? {};
  const uplinks: UplinkConfig[] = [];
  for (const name of order.uplinks) {
    const own = file.uplinks[name];
    if (own !== undefined) uplinks.push(new UplinkMerger(name, own, defaults, report).merge());
  }
  const lanPrefix = file['lan-prefix'] ?? BUILT_IN.lanPrefix;
  checkUplinks(uplinks, lanPrefix, report);
  const socket = { group: file.socket?.group ?? BUILT_IN.socket.group, mode: file.socket?.mode ?? BUILT_IN.socket.mode };
  if ((socket.mode & 0o600) !== 0o600) {
    report(['socket', 'mode'], null, complaint('the owner must be able to read and write the socket', 'such as "0660"'));
  } else if ((socket.mode & 0o002) !== 0) {
    report(
      ['socket', 'mode'],
      null,
      complaint('everyone on this machine may now switch uplinks', null, 'Name a group and use "0660".'),
      'warning',
    );
  }
  const kernel: KernelNumbers = {
    protocol: file.kernel?.protocol ?? BUILT_IN.kernel.protocol,
    tableBase: file.kernel?.['table-base'] ?? BUILT_IN.kernel.tableBase,
    ruleBase: file.kernel?.['rule-base'] ?? BUILT_IN.kernel.ruleBase,
    markMask: file.kernel?.['mark-mask'] ?? BUILT_IN.kernel.markMask,
  };
  checkKernelNumbers(kernel, report);
  const connections = mergeConnections(file.connections, report);
  const sharing = uplinks.find((uplink) => sharesWith(uplink, uplinks).length > 0);
  if (connections === null && sharing !== undefined) {
    const wrong = complaint(
      `uplinks of tier ${sharing.tier} share: when one of them fails, open connections of the others move too`,
      null,
      'Leave connections out, or give every uplink a tier of its own.',
    );
    report(['connections'], null, wrong, 'warning');
  }
  return {
    uplinks,
    switchCostMs: file['switch-cost'] ?? BUILT_IN.switchCostMs,
    log: file.log ?? BUILT_IN.log,
    onStop: file['on-stop'] ?? BUILT_IN.onStop,
    socket,
    kernel,
    sysctls: file.sysctls ?? BUILT_IN.sysctls,
    via: mergeVia(file.via ?? {}, order.via, uplinks, report),
    connections,
    masquerade: file.masquerade ?? BUILT_IN.masquerade,
    lanPrefix,
    drill: mergeDrill(file.drill, uplinks, report),
    routerAdvertisements: file['router-advertisements'] ?? BUILT_IN.routerAdvertisements,
    services: {
      channels: mergeChannels(file.notify ?? {}, report),
      followers: mergeFollowers(file, order.uplinks, report),
      hooks: file.hooks === undefined ? null : mergeHooks(file.hooks, report),
    },
    history: mergeHistory(file.history, report),
  };
}
