/**
 * What a lab needs of the machine, asked before anything is made: root, the tools, TUN.
 */
import { accessSync, closeSync, constants, openSync } from 'node:fs';
import { join } from 'node:path';
import { LabError } from './errors.js';
import { toolEnvironment } from './run.js';

/** The first thing that is missing, with its remedy; null = a lab can be built. For tests that skip. */
export function missingRequirement(): LabError | null {
  if (process.getuid?.() !== 0) {
    return new LabError('the lab makes network namespaces, which needs root', 'run it as root, or with sudo');
  }
  const missing = ['ip', 'bridge', 'nft'].filter((tool) => !isInPath(tool));
  if (missing.length > 0) {
    return new LabError(`${missing.join(' and ')} not found`, 'apt-get install nftables iproute2');
  }
  try {
    closeSync(openSync('/dev/net/tun', constants.O_RDWR | constants.O_NONBLOCK));
  } catch (error) {
    return new LabError(
      `/dev/net/tun cannot be used (${error instanceof Error ? error.message : error})`,
      'modprobe tun; in a container: start it with --device /dev/net/tun and --cap-add NET_ADMIN --cap-add SYS_ADMIN',
    );
  }
  return null;
}

function isInPath(tool: string): boolean {
  return (toolEnvironment().PATH ?? '').split(':').some((dir) => {
    try {
      accessSync(join(dir, tool), constants.X_OK);
      return dir !== '';
    } catch {
      return false;
    }
  });
}
