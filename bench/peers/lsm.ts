/** lsm, Debian's link status monitor: pings, and calls a script when enough of them were lost in a row. lsm(1), /etc/lsm/lsm.conf */
import type { Contender } from '../contender.js';
import { labFile, labPath, missingProgram, PeerProcess } from './process.js';
import { fastAndBackup, forbidRedirects, hostRouteToTarget, whenInUse } from './routes.js';

export const lsm: Contender = {
  name: 'lsm',
  probes: 'icmp',
  settings: 'ping at the same interval, 100 ms timeout, down after 2 lost in a row; a script moves the default route',
  unable: () => missingProgram('lsm', 'lsm'),
  async start(lab, intervalMs) {
    const { fast, backup } = fastAndBackup(lab);
    await forbidRedirects(lab);
    await hostRouteToTarget(lab);
    const script = labFile(
      lab,
      'event',
      `#!/bin/sh
PATH=/usr/sbin:/usr/bin:/sbin:/bin
case "$1" in
down) exec ip route replace default via ${backup.gateway4} dev lan0 proto static ;;
up) exec ip route replace default via ${fast.gateway4} dev lan0 proto static ;;
esac
`,
      true,
    );
    // Without a device it looks for its source address among the connected networks, and finds none for a target beyond them.
    const config = labFile(
      lab,
      'lsm.conf',
      `debug=8
defaults {
  name=defaults
  checkip=127.0.0.1
  eventscript=${script}
  notifyscript=
  max_packet_loss=100
  max_successive_pkts_lost=2
  min_packet_loss=90
  min_successive_pkts_rcvd=2
  interval_ms=${intervalMs}
  timeout_ms=100
  warn_email=
  check_arp=0
  sourceip=
  device=lan0
  ttl=0
  status=1
}
connection {
  name=fast
  checkip=${fast.upstream4}
}
`,
    );
    const process = new PeerProcess(lab, 'gateway', ['lsm', '-f', '-c', config, '-p', labPath(lab, 'lsm.pid')]);
    return whenInUse(lab, [process], 2 * intervalMs + 200);
  },
};
