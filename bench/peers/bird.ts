/**
 * bird2: BGP with BFD to a bird at the provider's side, which the provider has to run for us; no other way lets bird notice a fault
 * behind the next router. The NAT of the fast router is taken out of the way of that session. RFC 5883
 */
import type { Contender } from '../contender.js';
import { labFile, labPath, missingProgram, PeerProcess } from './process.js';
import { fastAndBackup, forbidRedirects, ip, whenInUse } from './routes.js';

const OUR_ADDRESS = '192.168.1.2';

export const bird: Contender = {
  name: 'bird2',
  probes: 'bfd',
  settings: 'BGP with multihop BFD at the same interval, multiplier 2, with a second bird at the provider, which must take part',
  unable: () => missingProgram('bird', 'bird2'),
  async start(lab, intervalMs) {
    const { fast, backup } = fastAndBackup(lab);
    await forbidRedirects(lab);
    const bfd = `protocol bfd {
  multihop { interval ${intervalMs} ms; idle tx interval ${intervalMs} ms; multiplier 2; };
}
`;
    const timers = `  hold time 240;
  connect delay time 1;
  connect retry time 1;
  error wait time 1, 1;
  bfd on;
`;
    const here = labFile(
      lab,
      'gateway.conf',
      `router id ${OUR_ADDRESS};
protocol device { scan time 1; }
protocol kernel {
  metric 5;
  ipv4 { import none; export where source = RTS_STATIC || source = RTS_BGP; };
}
protocol static {
  ipv4 { preference 50; };
  route 0.0.0.0/0 via ${backup.gateway4};
  route ${fast.upstream4}/32 via ${fast.gateway4};
}
${bfd}protocol bgp fast {
  local ${OUR_ADDRESS} as 65001;
  neighbor ${fast.upstream4} as 65000;
  multihop 3;
${timers}  ipv4 { import all; export none; };
}
`,
    );
    const there = labFile(
      lab,
      'provider.conf',
      `router id ${fast.upstream4};
protocol device { }
protocol static {
  ipv4;
  route 0.0.0.0/0 blackhole;
}
${bfd}protocol bgp customer {
  local ${fast.upstream4} as 65000;
  neighbor ${OUR_ADDRESS} as 65001;
  multihop 3;
  passive on;
${timers}  ipv4 { import none; export all; next hop self; };
}
`,
    );
    await ip(lab, fast.isp, `route add ${OUR_ADDRESS}/32 via 212.254.0.2`);
    await lab.exec(fast.router, ['nft', '-f', '-'], {
      input: `table ip bench {
  chain early {
    type filter hook prerouting priority raw;
    ip saddr ${OUR_ADDRESS} ip daddr ${fast.upstream4} notrack
    ip saddr ${fast.upstream4} ip daddr ${OUR_ADDRESS} notrack
  }
}
`,
    });
    await ip(lab, 'gateway', `route add ${fast.upstream4} via ${fast.gateway4} metric 1`);
    await ip(lab, 'gateway', `route del default via ${fast.gateway4} dev lan0`);
    const start = (node: string, config: string, name: string): PeerProcess =>
      new PeerProcess(lab, node, [
        'bird',
        '-f',
        '-c',
        config,
        '-s',
        labPath(lab, `${name}.ctl`),
        '-P',
        labPath(lab, `${name}.pid`),
      ]);
    const processes = [start('gateway', here, 'gateway'), start(fast.isp, there, 'provider')];
    return whenInUse(lab, processes, 2 * intervalMs + 500);
  },
};
