/**
 * Facts to findings: what would hurt, why, and the exact remedy. Pure; each check stands alone. Those of routes, of open
 * connections and of `gateway: auto` have files of their own.
 */
import type { Facts, Finding, ProcessFact } from './facts.js';
import { finding, ownInterfaces, sharedInterfaces, sysctlFinding, whenDaemonSets } from './finding.js';
import { flowFindings } from './flow-findings.js';
import { gatewayFindings } from './gateway-findings.js';
import { routeFindings } from './route-findings.js';

type Check = (facts: Facts) => Finding[];

/** Problems first, in the order in which a person should look at them. */
export function diagnose(facts: Facts): Finding[] {
  const checks: readonly Check[] = [
    configuration,
    daemon,
    capabilities,
    pingGroup,
    forwarding,
    redirects,
    ndRedirects,
    reversePath,
    nat,
    flowFindings,
    gatewayFindings,
    routeFindings,
    targets,
  ];
  const findings = checks.flatMap((check) => check(facts));
  return findings.toSorted((a, b) => rank(a) - rank(b));
}

function rank(finding: Finding): number {
  return finding.level === 'problem' ? 0 : 1;
}

function configuration({ config, configProblems, systemProblems }: Facts): Finding[] {
  const why = 'nothing runs without a valid config';
  if (config === null) return [finding('config-invalid', 'problem', configProblems.join('\n'), why, 'backroute check')];
  return systemProblems.map(({ severity, text }) =>
    finding(
      'config-system',
      severity === 'error' ? 'problem' : 'advice',
      text,
      'the config does not fit this machine as it is now',
      null,
    ),
  );
}

function daemon(facts: Facts): Finding[] {
  if (facts.daemon !== null) return [];
  return [
    finding(
      'daemon-not-running',
      'advice',
      'no daemon is running',
      'nobody watches the uplinks',
      'systemctl enable --now backroute',
    ),
  ];
}

function capabilities(facts: Facts): Finding[] {
  const subjects: (readonly [string, ProcessFact, Finding['level']])[] =
    facts.daemon === null ? [['this process', facts.process, 'advice']] : [['the daemon', facts.daemon, 'problem']];
  return subjects.flatMap(([who, process, level]) => {
    const missing = [process.netAdmin ? [] : ['CAP_NET_ADMIN'], process.netRaw ? [] : ['CAP_NET_RAW']].flat();
    if (missing.length === 0) return [];
    const what = `${who} (${process.pid}) lacks ${missing.join(' and ')}`;
    const why = 'routes, rules, marks and bound sockets need them';
    return [
      finding('capabilities', level, what, why, `run it as root, or in its unit: AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW`),
    ];
  });
}

function pingGroup(facts: Facts): Finding[] {
  const key = 'net/ipv4/ping_group_range';
  const range = facts.kernel.sysctls[key];
  if (typeof range !== 'string') return [];
  const [low = 1, high = 0] = range.split(/\s+/).map(Number);
  const { gid } = facts.daemon ?? facts.process;
  if (low <= gid && gid <= high) return [];
  const what = `group ${gid} may not send ICMP probes: net.ipv4.ping_group_range is "${range.replace(/\s+/g, ' ')}"`;
  return [
    sysctlFinding('ping-group-range', whenDaemonSets(facts), what, 'every ICMP probe fails with EACCES, root’s too', [
      [key, `${gid} ${gid}`],
    ]),
  ];
}

function forwarding(facts: Facts): Finding[] {
  const { sysctls } = facts.kernel;
  const found: Finding[] = [];
  if (sysctls['net/ipv4/ip_forward'] === '0') {
    const why = 'this machine drops what clients send it for the world';
    found.push(sysctlFinding('ip-forward', 'problem', 'IPv4 forwarding is off', why, [['net/ipv4/ip_forward', '1']]));
  }
  if (facts.paths.some((path) => path.family === 6) && sysctls['net/ipv6/conf/all/forwarding'] === '0') {
    const why =
      'this machine drops what IPv6 clients send it; switched on, it no longer listens to router advertisements unless accept_ra is 2';
    const remedy = 'sysctl -w net.ipv6.conf.all.forwarding=1';
    found.push(finding('ip6-forward', 'problem', 'IPv6 forwarding is off', why, remedy));
  }
  return found;
}

/** The kernel takes send_redirects when `all` OR the interface says so; accept_redirects of a router when both do (ip-sysctl.rst). */
function redirects(facts: Facts): Finding[] {
  const level = whenDaemonSets(facts);
  const found: Finding[] = [];
  for (const name of sharedInterfaces(facts, 4)) {
    const on = (key: string): boolean =>
      ['all', name].some((where) => facts.kernel.sysctls[`net/ipv4/conf/${where}/${key}`] === '1');
    const off = (key: string): [string, string][] => ['all', name].map((where) => [`net/ipv4/conf/${where}/${key}`, '0']);
    if (on('send_redirects')) {
      const why =
        'clients learn within two packets to go to the router directly and stay there for 300 s, even when it is dead; who has learned one already keeps it that long';
      found.push(
        sysctlFinding('send-redirects', level, `${name} sends ICMP redirects to the clients`, why, off('send_redirects')),
      );
    }
    if (on('accept_redirects')) {
      const why = 'a router could bend probes meant for the other one';
      found.push(sysctlFinding('accept-redirects', level, `${name} accepts ICMP redirects`, why, off('accept_redirects')));
    }
  }
  return found;
}

function ndRedirects(facts: Facts): Finding[] {
  const names = sharedInterfaces(facts, 6);
  if (names.length === 0 || !facts.tools.nft || facts.kernel.nft?.fingerprint !== 'absent') return [];
  const why = 'IPv6 clients learn to go to a router directly and stay there when it is dead';
  const remedy = facts.daemon === null ? 'the daemon sets it when it starts' : 'look for why in: backroute events';
  return [
    finding('nd-redirects', whenDaemonSets(facts), `nothing drops the ND redirects that ${names.join(', ')} sends`, why, remedy),
  ];
}

function reversePath(facts: Facts): Finding[] {
  const strict = (name: string): boolean => {
    const values = ['all', name].map((where) => Number(facts.kernel.sysctls[`net/ipv4/conf/${where}/rp_filter`] ?? 0));
    return Math.max(...values) === 1;
  };
  return ownInterfaces(facts, 4)
    .filter(strict)
    .map((name) => {
      const why =
        'answers by the uplink that is not active are dropped: to its probes, so that it looks dead, and to connections that finish there';
      return sysctlFinding('rp-filter', whenDaemonSets(facts), `${name} filters strictly by reverse path`, why, [
        [`net/ipv4/conf/${name}/rp_filter`, '2'],
      ]);
    });
}

/** With one NIC the routers do the NAT; with one NIC per uplink nobody else can. */
function nat(facts: Facts): Finding[] {
  const { ruleset, legacyNat } = facts;
  const owned = ownInterfaces(facts, 4);
  if (owned.length < 2 || facts.config?.masquerade === true) return [];
  if (legacyNat) {
    const why = 'its rules cannot be seen from here; each uplink needs a MASQUERADE of its own';
    return [finding('nat-legacy', 'advice', 'this machine uses the old iptables', why, 'iptables-legacy -t nat -S POSTROUTING')];
  }
  if (ruleset === null) return [];
  const covers = (name: string): boolean =>
    ruleset.nat.some(
      ({ family, interfaces, except }) => family !== 'ip6' && (interfaces?.includes(name) ?? true) && !except.includes(name),
    );
  return owned
    .filter((name) => !covers(name))
    .map((name) => {
      const why =
        'clients with private addresses get no answers through it unless its router does the NAT: after a failover they are cut off';
      const rule = `nft 'add table ip nat; add chain ip nat postrouting { type nat hook postrouting priority srcnat; }; add rule ip nat postrouting oifname "${name}" masquerade'`;
      const remedy = `masquerade: true in the config, or by hand: ${rule}`;
      return finding('nat-missing', 'problem', `nothing masquerades what leaves by ${name}`, why, remedy);
    });
}

/** Only where the uplink itself works is a silent target the target's fault. */
function targets({ targets: asked, paths }: Facts): Finding[] {
  const found: Finding[] = [];
  for (const fact of asked) {
    const path = paths.find(({ uplink, family }) => uplink === fact.through && family === fact.family);
    const wanted = path === undefined || path.gateway === null ? null : bare(path.gateway);
    const astray =
      path !== undefined &&
      fact.gateway !== null &&
      wanted !== null &&
      (fact.gateway !== wanted || fact.device !== path.interface);
    if (astray) {
      const what = `a probe of ${fact.target} through ${fact.through} would leave by ${fact.gateway} on ${fact.device}, not by ${wanted}`;
      const why = 'a dead uplink would look alive because its probes take another way';
      found.push(finding('probe-astray', 'problem', what, why, 'ip rule: look for a rule ahead of ours that takes it'));
      continue;
    }
    if (fact.answers || !fact.watchedBy.includes(fact.through)) continue;
    const elsewhere = asked.filter((other) => other.target === fact.target && other.through !== fact.through && other.answers);
    if (elsewhere.length === 0) continue;
    const what = `${fact.target}, a target of ${fact.through}, answers through ${elsewhere.map((other) => other.through).join(', ')} but not through ${fact.through}`;
    const why = 'it says nothing about its own uplink, or that uplink is down just now';
    found.push(finding('target-elsewhere', 'advice', what, why, `choose a target that the provider of ${fact.through} reaches`));
  }
  return found;
}

function bare(address: string): string {
  return address.split('%')[0] ?? address;
}
