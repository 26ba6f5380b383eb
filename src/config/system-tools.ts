/**
 * What the configuration asks of programs that this machine has not. Pure: what there is is handed in.
 */
import type { Config } from '../core/config.js';
import { sharesWith } from './between.js';
import { complaint, type Path, type Report } from './problem.js';

export interface Tools {
  /** nft(8), by which marks, masquerade and translation are set up */
  readonly nft: boolean;
}

/** `said`: whether the file says something at a path. */
export function checkTools(config: Config, tools: Tools, said: (path: Path) => boolean, report: Report): void {
  if (tools.nft) return;
  const remedy = 'Install it: apt-get install nftables.';
  const tell = (path: Path, what: string, severity?: 'warning'): void =>
    report(path, null, complaint(`there is no nftables (nft) on this machine: ${what}`, null, remedy), severity);
  let told = false;
  if (config.masquerade) {
    tell(['masquerade'], 'the LAN cannot be hidden');
    told = true;
  }
  if (config.lanPrefix !== null && config.uplinks.some((uplink) => uplink.prefix !== null)) {
    tell(['lan-prefix'], 'no prefix can be translated');
    told = true;
  }
  const sharing = config.uplinks.find((uplink) => sharesWith(uplink, config.uplinks).length > 0);
  if (sharing !== undefined) {
    tell(['uplinks', sharing.name, 'tier'], 'uplinks that share cannot hold a connection to one of them');
    told = true;
  }
  if (config.connections === null || told) return;
  // Where nobody asked for it all else works: open connections are then as they would be without us.
  if (said(['connections'])) tell(['connections'], 'connections can be neither remembered nor ended');
  else tell([], 'open connections are neither remembered nor ended', 'warning');
}
