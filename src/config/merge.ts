/**
 * From the typed file to the core's Config, and everything that can be wrong between several keys. Knows neither YAML's
 * nor zod's ways.
 */
import { type Config, type KernelNumbers, MAX_UPLINKS, type UplinkConfig } from '../core/config.js';
import { mergeChannels } from './channels.js';
import { BUILT_IN } from './defaults.js';
import { mergeFollowers, mergeHooks } from './followers.js';
import { hostText } from './host.js';
import { checkKernelNumbers } from './numbers.js';
import { complaint, type Report } from './problem.js';
import type { FileShape } from './schema.js';
import { gatewayKey, UplinkMerger } from './uplink.js';

/** `order`: the uplinks' names in the order of the file. */
export function mergeConfig(file: FileShape, order: readonly string[], report: Report): Config {
  const defaults = file.defaults ?? {};
  const uplinks: UplinkConfig[] = [];
  for (const name of order) {
    const own = file.uplinks[name];
    if (own !== undefined) uplinks.push(new UplinkMerger(name, own, defaults, report).merge());
  }
  checkUplinks(uplinks, report);
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
  return {
    uplinks,
    log: file.log ?? BUILT_IN.log,
    onStop: file['on-stop'] ?? BUILT_IN.onStop,
    socket,
    kernel,
    sysctls: file.sysctls ?? BUILT_IN.sysctls,
    via: BUILT_IN.via,
    connections: BUILT_IN.connections,
    masquerade: BUILT_IN.masquerade,
    lanPrefix: BUILT_IN.lanPrefix,
    drill: BUILT_IN.drill,
    routerAdvertisements: BUILT_IN.routerAdvertisements,
    services: {
      channels: mergeChannels(file.notify ?? {}, report),
      followers: mergeFollowers(file, order, report),
      hooks: file.hooks === undefined ? null : mergeHooks(file.hooks, report),
    },
  };
}

function checkUplinks(uplinks: readonly UplinkConfig[], report: Report): void {
  if (uplinks.length > MAX_UPLINKS) {
    report(['uplinks'], `${uplinks.length} uplinks`, complaint(`at most ${MAX_UPLINKS} uplinks are possible`));
  }
  const seen = new Map<string, string>();
  for (const uplink of uplinks) {
    for (const { family, host } of uplink.gateways) {
      const key = `${family} ${hostText(host).toLowerCase()} ${uplink.interface ?? ''}`;
      const other = seen.get(key);
      if (other !== undefined && other !== uplink.name) {
        const on = uplink.interface === null ? '' : ` on ${uplink.interface}`;
        const wrong = complaint(
          `uplink ${other} has the same gateway${on}`,
          null,
          'Two uplinks need two ways out: another gateway or another interface.',
        );
        report(['uplinks', uplink.name, gatewayKey(uplink, family)], hostText(host), wrong);
      }
      seen.set(key, other ?? uplink.name);
    }
  }
}
