/** Gathers the doctor's facts from the machine: kernel, /proc, nft, the config. Judges nothing and changes nothing. */
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfig } from '../../config/load.js';
import { formatProblem } from '../../config/problem.js';
import { checkAgainstSystem } from '../../config/system.js';
import { type Config, ownTables } from '../../core/config.js';
import type { UplinkHint } from '../../core/hint.js';
import type { Kernel, KernelState, LinkState } from '../../core/kernel.js';
import type { SavedState } from '../../core/messages.js';
import { type Family, pathKey } from '../../core/model.js';
import { AutoGateway } from '../../core/paths/auto-gateway.js';
import { linkNamed, onlinkHops, placeGateway, type RouteSight } from '../../core/paths/topology.js';
import { ownsInterface } from '../../core/plan/plan-input.js';
import { sysctlKeys } from '../../core/plan/plan-sysctls.js';
import { LOCK_FILE, loadState } from '../../history/state-store.js';
import { RtnlKernel } from '../../kernel/kernel.js';
import { hintsDirectory, LeaseWatcher } from '../../kernel/lease/lease-watcher.js';
import { lockHolder } from '../../kernel/lock.js';
import { readProtocolNames } from '../../kernel/names.js';
import { answersOnSocket } from '../client.js';
import { isInstalled } from '../installed.js';
import { type Places, socketPath } from '../places.js';
import type { AutoFact, Facts, PathFact, ProcessFact, ProgramFact, RulesetFact } from './facts.js';
import { FLOW_SYSCTLS } from './flow-findings.js';
import { gatewaySysctls } from './gateway-findings.js';
import { askTargets, resolveHost } from './probe-targets.js';
import { readRuleset } from './ruleset.js';

const FORWARDING = ['net/ipv4/ip_forward', 'net/ipv6/conf/all/forwarding'];
/** Programs that make default routes, by /proc/PID/comm, which holds 15 letters: proc_pid_comm(5). */
const ROUTE_MAKERS = [
  'NetworkManager',
  'systemd-network',
  'dhclient',
  'dhcpcd',
  'udhcpc',
  'pppd',
  'connmand',
  'zebra',
  'bird',
  'keepalived',
];
const FULL_NAMES: Readonly<Record<string, string>> = { 'systemd-network': 'systemd-networkd' };
const NFT_MS = 10_000;
/** packaging/dhcp/hint, where its hooks look for it. */
const HINT_PROGRAM = '/usr/lib/backroute/hint';

/** @throws KernelError when the kernel cannot be read */
export async function collectFacts(places: Places): Promise<Facts> {
  const loaded = await loadConfig(places.configPath);
  const config = loaded.ok ? loaded.config : null;
  const tools = { nft: isInstalled('nft'), ip: isInstalled('ip') };
  const kernel = new RtnlKernel();
  try {
    const addresses = config === null ? new Map<string, readonly string[]>() : await gatewayNames(config);
    const first = await snapshot(kernel, config, [], tools.nft);
    const { saved } = await loadState(places.stateDir, { putAside: false });
    const autos =
      config === null ? [] : findAutos(config, sightOf(config, first, saved), saved, await readHints(places, first, config));
    const paths = config === null ? [] : placePaths(config, sightOf(config, first, saved), addresses, autos);
    const state = await snapshot(kernel, config, [...new Set(paths.map((path) => path.interface))], tools.nft);
    const process = processFact('self', globalThis.process.pid, globalThis.process.getegid?.() ?? 0);
    return {
      config,
      configProblems: loaded.ok ? [] : loaded.problems.map(formatProblem),
      systemProblems: loaded.ok
        ? checkAgainstSystem(loaded.config, state, (name) => addresses.get(name) ?? [name], loaded.source).map((problem) => ({
            severity: problem.severity,
            text: formatProblem(problem),
          }))
        : [],
      kernel: state,
      paths,
      autos,
      hintHook: existsSync(HINT_PROGRAM),
      process,
      daemon: await findDaemon(places),
      tools,
      programs: findPrograms(),
      protocols: readProtocolNames(),
      ruleset: tools.nft ? await listRuleset() : null,
      legacyNat: hasLegacyNat(),
      targets: config === null ? [] : await askTargets(config, state, paths, saved?.slots ?? {}, tools.ip),
    };
  } finally {
    await kernel.close();
  }
}

function snapshot(kernel: Kernel, config: Config | null, interfaces: readonly string[], nft: boolean): Promise<KernelState> {
  return kernel.snapshot({
    tables: config === null ? [] : ownTables(config.kernel),
    sysctls: [...sysctlKeys(interfaces), ...FORWARDING, ...FLOW_SYSCTLS, ...gatewaySysctls(interfaces)],
    nft,
  });
}

async function gatewayNames(config: Config): Promise<Map<string, readonly string[]>> {
  const hosts = config.uplinks.flatMap((uplink) => uplink.gateways);
  const found = await Promise.all(
    hosts.map(async ({ host, family }) =>
      host.kind === 'name' ? ([[host.name, await resolveHost(host, family)]] as const) : [],
    ),
  );
  const merged = new Map<string, readonly string[]>();
  for (const [name, addresses] of found.flat()) merged.set(name, [...(merged.get(name) ?? []), ...addresses]);
  return merged;
}

/** What DHCP clients and their hooks say just now. */
async function readHints(places: Places, state: KernelState, config: Config): Promise<UplinkHint[]> {
  const hints: UplinkHint[] = [];
  if (!config.uplinks.some((uplink) => uplink.gateways.some(({ host }) => host.kind === 'auto'))) return hints;
  const watcher = new LeaseWatcher({
    hintsDir: hintsDirectory(places.runDir),
    interfaceName: (ifindex) => state.links.find((link) => link.index === ifindex)?.name ?? null,
    onProblem: () => undefined,
  });
  try {
    await watcher.start((hint) => hints.push(hint));
  } finally {
    watcher.close();
  }
  return hints;
}

type FoundAuto = AutoFact & { readonly gateway: string | null };

function sightOf(config: Config, state: KernelState, saved: SavedState | null): RouteSight {
  return { state, ownProtocol: config.kernel.protocol, displaced: saved?.restore.routes ?? [] };
}

/** As the engine finds them. */
function findAutos(config: Config, sight: RouteSight, saved: SavedState | null, hints: readonly UplinkHint[]): FoundAuto[] {
  return config.uplinks.flatMap((uplink) =>
    uplink.gateways.flatMap(({ family, host }) => {
      if (host.kind !== 'auto' || uplink.interface === null) return [];
      const link = linkNamed(sight.state, uplink.interface);
      const auto = new AutoGateway(family, saved?.gateways?.[pathKey(uplink.name, family)] ?? null);
      const said = hints.filter((hint) => hint.family === family && link !== null && isNameOf(link, hint.interface));
      for (const hint of said) auto.hear(hint);
      if (link !== null) auto.see({ ...sight, link });
      const { address = null, source = null } = auto.current ?? {};
      const hinted = said.some((hint) => hint.gateway !== null);
      return [{ uplink: uplink.name, family, interface: link?.name ?? uplink.interface, source, hinted, gateway: address }];
    }),
  );
}

function isNameOf(link: LinkState, name: string): boolean {
  return link.name === name || link.altNames?.includes(name) === true;
}

function placePaths(
  config: Config,
  sight: RouteSight,
  addresses: ReadonlyMap<string, readonly string[]>,
  autos: readonly FoundAuto[],
): PathFact[] {
  const { state } = sight;
  const found = config.uplinks.flatMap((uplink) => {
    let hint: string | null = null;
    return uplink.gateways.flatMap(({ family, host }) => {
      if (host.kind === 'auto') {
        const auto = autos.find((one) => one.uplink === uplink.name && one.family === family);
        if (auto === undefined || linkNamed(state, auto.interface) === null) return [];
        hint = auto.interface;
        return [{ uplink: uplink.name, family, gateway: auto.gateway, interface: auto.interface }];
      }
      const gateway = host.kind === 'address' ? host.address : addresses.get(host.name)?.find((address) => isOf(address, family));
      if (gateway === undefined) return [];
      const onlink = onlinkHops(sight, family);
      const { link } = placeGateway(state, { family, gateway, wanted: uplink.interface, lastKnown: null, hint, onlink });
      if (link === null) return [];
      hint = link.name;
      return [{ uplink: uplink.name, family, gateway, interface: link.name }];
    });
  });
  return found.map((path) => ({ ...path, shared: !ownsInterface(path, found, state) }));
}

function isOf(address: string, family: Family): boolean {
  return address.includes(':') === (family === 6);
}

function processFact(which: string, pid: number, gid: number): ProcessFact {
  const status = readText(`/proc/${which}/status`);
  const capabilities = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  const has = (bit: bigint): boolean => ((capabilities >> bit) & 1n) === 1n;
  const groups = /^Gid:\s+\d+\s+(\d+)/m.exec(status)?.[1];
  // capabilities(7): CAP_NET_ADMIN 12, CAP_NET_RAW 13
  return { pid, gid: groups === undefined ? gid : Number(groups), netAdmin: has(12n), netRaw: has(13n) };
}

async function findDaemon(places: Places): Promise<ProcessFact | null> {
  if (!(await answersOnSocket(socketPath(places)))) return null;
  const pid = lockHolder(join(places.stateDir, LOCK_FILE));
  return pid === null ? null : processFact(String(pid), pid, 0);
}

function findPrograms(): ProgramFact[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      const comm = readText(`/proc/${pid}/comm`).trim();
      return ROUTE_MAKERS.includes(comm) ? [{ name: FULL_NAMES[comm] ?? comm, pid: Number(pid) }] : [];
    });
}

function listRuleset(): Promise<RulesetFact | null> {
  return new Promise((resolve) => {
    execFile('nft', ['-j', 'list', 'ruleset'], { timeout: NFT_MS, maxBuffer: 64 << 20 }, (error, stdout) => {
      if (error !== null) return resolve(null);
      try {
        resolve(readRuleset(JSON.parse(stdout)));
      } catch {
        resolve(null);
      }
    });
  });
}

/** The old iptables registers its tables here; iptables-nft does not. */
function hasLegacyNat(): boolean {
  return /^nat$/m.test(readText('/proc/net/ip_tables_names'));
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
