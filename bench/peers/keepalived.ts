/**
 * keepalived: a VRRP instance that tracks a ping script holds the fast default as a virtual route and gives it up when the script
 * fails; the backup's default stands behind it. keepalived.conf(5)
 */
import type { Contender } from '../contender.js';
import { labFile, labPath, missingProgram, PeerProcess } from './process.js';
import { fastAndBackup, forbidRedirects, hostRouteToTarget, ip, whenInUse } from './routes.js';

export const keepalived: Contender = {
  name: 'keepalived',
  probes: 'icmp',
  settings: 'VRRP with a ping script every second, 100 ms timeout, down after 2 failures; the default is its virtual route',
  unable(intervalMs) {
    if (intervalMs % 1000 !== 0) return 'its scripts run every whole number of seconds';
    return missingProgram('keepalived', 'keepalived');
  },
  async start(lab, intervalMs) {
    const { fast, backup } = fastAndBackup(lab);
    await forbidRedirects(lab);
    await hostRouteToTarget(lab);
    const config = labFile(
      lab,
      'keepalived.conf',
      `global_defs {
  router_id bench
  script_user root
  vrrp_version 3
}
vrrp_script upstream {
  script "/bin/ping -n -q -c 1 -W 0.1 ${fast.upstream4}"
  interval ${intervalMs / 1000}
  timeout 1
  fall 2
  rise 2
}
vrrp_instance fast {
  state MASTER
  interface lan0
  virtual_router_id 51
  priority 100
  advert_int 0.1
  virtual_ipaddress {
    192.168.1.251/32 dev lan0
  }
  virtual_routes {
    default via ${fast.gateway4} dev lan0 metric 5
  }
  track_script {
    upstream
  }
}
`,
    );
    await ip(lab, 'gateway', `route append default via ${backup.gateway4} dev lan0 proto static metric 10`);
    await ip(lab, 'gateway', `route del default via ${fast.gateway4} dev lan0`);
    const pidFiles = ['--pid', labPath(lab, 'keepalived.pid'), '--vrrp_pid', labPath(lab, 'vrrp.pid')];
    const process = new PeerProcess(lab, 'gateway', [
      'keepalived',
      '--dont-fork',
      '--log-console',
      '--vrrp',
      '--use-file',
      config,
      ...pidFiles,
    ]);
    return whenInUse(lab, [process], 2 * intervalMs + 200);
  },
};
