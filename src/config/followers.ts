/**
 * What follows the way out: from the typed file to the core's FollowerConfig and HooksConfig, and what can be wrong between
 * keys, such as an uplink that does not exist. Knows neither YAML's nor zod's ways, and looks at no file it names.
 */
import type { FilesConfig, FollowerConfig, HooksConfig, RelayConfig, ResolverConfig, Smarthost } from '../core/services.js';
import { loginOf, topicsOf } from './channels.js';
import { SERVICES } from './defaults.js';
import type { FilesShape, HooksShape, RelayShape, ResolverShape } from './follow-schema.js';
import { complaint, type Path, type Report } from './problem.js';
import { program } from './service-values.js';
import { noSuchUplink } from './uplink-names.js';

export interface FollowersShape {
  readonly 'mail-relay'?: RelayShape | undefined;
  readonly follow?: Readonly<Record<string, FilesShape>> | undefined;
  readonly resolver?: ResolverShape | undefined;
}

/** `uplinks`: the names there are. */
export function mergeFollowers(file: FollowersShape, uplinks: readonly string[], report: Report): FollowerConfig[] {
  const followers: FollowerConfig[] = [];
  if (file['mail-relay'] !== undefined) followers.push(relayOf(file['mail-relay'], uplinks, report));
  const files = Object.entries(file.follow ?? {}).map(([name, shape]) => filesOf(name, shape, uplinks, report));
  checkOwners(files, report);
  followers.push(...files);
  if (file.resolver !== undefined) followers.push(...resolverOf(file.resolver, uplinks, report));
  return followers;
}

/** What is said of uplinks by name: unknown ones are told and left out, and missing ones told as well. */
function perUplink<T>(
  shape: Readonly<Record<string, T>>,
  uplinks: readonly string[],
  path: Path,
  what: string,
  report: Report,
): [string, T][] {
  const entries = Object.entries(shape);
  if (entries.length === 0) report(path, null, complaint(`${what} of at least one uplink is wanted`));
  for (const [name] of entries) {
    if (uplinks.includes(name)) continue;
    report([...path, name], name, noSuchUplink(name, uplinks));
  }
  const known = entries.filter(([name]) => uplinks.includes(name));
  const missing = uplinks.filter((name) => !known.some(([other]) => other === name));
  // Where all names are wrong that has been told.
  if (missing.length > 0 && known.length === entries.length && known.length > 0) {
    const message = `nothing is said of ${missing.join(', ')}: while it carries the traffic, all stays as it was before`;
    report(path, null, complaint(message), 'warning');
  }
  return known;
}

// ---- mail-relay ------------------------------------------------------------------------------------------------------

function relayOf(shape: RelayShape, uplinks: readonly string[], report: Report): RelayConfig {
  const path = ['mail-relay', 'smarthosts'];
  const owners = new Map<string, string>();
  const smarthosts: [string, Smarthost][] = [];
  for (const [uplink, value] of perUplink(shape.smarthosts, uplinks, path, 'the smarthost', report)) {
    const form = 'port' in value ? { host: value } : value;
    const at = 'port' in value ? [...path, uplink] : [...path, uplink, 'host'];
    const { host } = form.host;
    const other = owners.get(host.toLowerCase());
    if (other !== undefined) {
      const why = 'A smarthost is reached through its own uplink only; one that takes mail from both needs no switching.';
      report(at, null, complaint(`uplink ${other} has the same smarthost`, null, why));
    }
    owners.set(host.toLowerCase(), other ?? uplink);
    const port = form.host.port ?? SERVICES.smtpPort.plain;
    const login = loginOf(form, [...path, uplink], report);
    smarthosts.push([uplink, { relayhost: `[${host}]:${port}`, host, port, login }]);
  }
  return {
    kind: 'mail-relay',
    name: 'mail-relay',
    postfixDirectory: shape.postfix ?? SERVICES.relay.postfixDirectory,
    timeoutMs: shape.timeout ?? SERVICES.relay.timeoutMs,
    smarthosts: Object.fromEntries(smarthosts),
  };
}

// ---- follow ----------------------------------------------------------------------------------------------------------

function filesOf(name: string, shape: FilesShape, uplinks: readonly string[], report: Report): FilesConfig {
  const path = ['follow', name];
  if (name === 'mail-relay' || name === 'resolver') {
    report(
      path,
      name,
      complaint('this name is taken', null, `There is a section ${name}: at the top; give this one another name.`),
    );
  }
  const copies = perUplink(shape.copies, uplinks, [...path, 'copies'], 'the copies', report);
  const all = new Set(copies.flatMap(([, list]) => list.map(({ to }) => to)));
  for (const [uplink, list] of copies) {
    const at = [...path, 'copies', uplink];
    const seen = new Set<string>();
    for (const [index, { from, to }] of list.entries()) {
      if (from === to) report([...at, index], null, complaint('a file cannot be copied over itself'));
      else if (seen.has(to)) report([...at, index], null, complaint(`${to} is written twice`));
      else if (all.has(from)) {
        report(
          [...at, index],
          null,
          complaint(`${from} is written over by another copy`, null, 'Keep each form in a file of its own.'),
        );
      }
      seen.add(to);
    }
    const missing = [...all].filter((to) => !seen.has(to));
    if (missing.length > 0) {
      const message = `${missing.join(', ')} stays as another uplink wants it`;
      report(at, null, complaint(message, null, 'Other uplinks have a copy for it; this one has none.'), 'warning');
    }
  }
  return {
    kind: 'files',
    name,
    copies: Object.fromEntries(copies),
    check: commandOf(shape.check, [...path, 'check'], report),
    reload: commandOf(shape.reload, [...path, 'reload'], report),
    timeoutMs: shape.timeout ?? SERVICES.files.timeoutMs,
  };
}

/** Two followers that write one file would undo each other. */
function checkOwners(followers: readonly FilesConfig[], report: Report): void {
  const owners = new Map<string, string>();
  for (const { name, copies } of followers) {
    for (const to of new Set(Object.values(copies).flatMap((list) => list.map((copy) => copy.to)))) {
      const other = owners.get(to);
      if (other === undefined) owners.set(to, name);
      else report(['follow', name, 'copies'], to, complaint(`${other} writes the same file`, null, 'Make one of both.'));
    }
  }
}

/** The program of a list; that of a line was looked at when it was split. */
function commandOf(given: readonly string[] | undefined, path: Path, report: Report): readonly string[] | null {
  const first = given === undefined ? null : program(given[0] ?? '');
  if (first === null || first.ok) return given ?? null;
  report([...path, 0], given?.[0] ?? null, first);
  return null;
}

// ---- resolver --------------------------------------------------------------------------------------------------------

/** What the C library reads of resolv.conf: resolv.conf(5), MAXNS. */
const MAX_NAME_SERVERS = 3;

function resolverOf(shape: ResolverShape, uplinks: readonly string[], report: Report): ResolverConfig[] {
  const ways = (['dnsmasq', 'systemd-resolved', 'resolv-conf'] as const).filter((key) => shape[key] !== undefined);
  const path: Path = ['resolver'];
  if (ways.length !== 1) {
    const message = ways.length === 0 ? 'it is not said which' : 'there can be one only';
    report(path, null, complaint(message, 'dnsmasq, systemd-resolved or resolv-conf is wanted'));
  }
  const servers = perUplink(shape.servers, uplinks, [...path, 'servers'], 'the name servers', report);
  for (const [uplink, list] of servers) {
    for (const [index, address] of list.entries()) {
      if (list.indexOf(address) !== index) {
        report([...path, 'servers', uplink, index], null, complaint('the same name server stands in the list already'));
      }
    }
    if (shape['resolv-conf'] !== undefined && list.length > MAX_NAME_SERVERS) {
      const message = `the C library reads ${MAX_NAME_SERVERS} name servers of resolv.conf only`;
      report([...path, 'servers', uplink], `${list.length} name servers`, complaint(message), 'warning');
    }
  }
  const common = {
    kind: 'resolver',
    name: 'resolver',
    servers: Object.fromEntries(servers),
    timeoutMs: shape.timeout ?? SERVICES.resolver.timeoutMs,
  } as const;
  const { dnsmasq, 'resolv-conf': file } = shape;
  if (dnsmasq !== undefined) {
    const pidFile = dnsmasq['pid-file'] ?? SERVICES.resolver.pidFile;
    return [{ ...common, how: 'dnsmasq', path: dnsmasq['servers-file'], pidFile }];
  }
  if (file !== undefined) return [{ ...common, how: 'resolv.conf', path: file, pidFile: null }];
  return ways.length > 0 ? [{ ...common, how: 'systemd-resolved', path: '', pidFile: null }] : [];
}

// ---- hooks -----------------------------------------------------------------------------------------------------------

export function mergeHooks(shape: HooksShape, report: Report): HooksConfig {
  // Who names commands need not have the usual folder beside.
  const usual = shape.commands === undefined ? SERVICES.hooks.directory : null;
  const directory = shape.directory === undefined ? usual : shape.directory;
  const commands = (shape.commands ?? []).map((command, index) => commandOf(command, ['hooks', 'commands', index], report));
  if (directory === 'off' && commands.length === 0) {
    report(['hooks'], null, complaint('nothing would ever be run', null, 'Name a directory or commands.'));
  }
  return {
    directory: directory === 'off' ? null : directory,
    commands: commands.filter((command) => command !== null),
    topics: topicsOf(shape.topics, ['hooks'], report),
    timeoutMs: shape.timeout ?? SERVICES.hooks.timeoutMs,
  };
}
