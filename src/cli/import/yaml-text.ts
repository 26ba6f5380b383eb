/**
 * What was found of the old way as the text of a configuration: first what has to go, then the keys, then every line that was
 * not carried over. Decides what of it makes a valid whole; reads no shell.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { smarthost } from '../../config/service-values.js';
import { type Copy, type Found, type OldWay, type Origin, type Remark, SIDES, type Side } from './old-way.js';
import { withoutSecrets } from './secrets.js';

/** What has to be taken away before Backroute starts, in plain lines without `#`. */
export function removals(found: OldWay): string[] {
  const lines: string[] = [];
  for (const { origin, why } of [...hostRouteRemarks(found), ...cronRemarks(found)]) {
    lines.push(`${place(origin)}: ${shown(origin.text)}`, ...wrapped(why).map((line) => `  ${line}`));
  }
  const targets = targetsOf(found);
  const named = found.hostRoutes.some(({ value }) => targets.includes(value.destination));
  if (!named && targets.length > 0) {
    lines.push(
      ...wrapped(
        `a host route to ${targets.join(' or ')}, if there is one (ip route show tells; look into route.conf, interfaces and start scripts): ${NO_HOST_ROUTE}`,
      ),
    );
  }
  if (cronRemarks(found).length === 0) {
    lines.push(...wrapped(`whatever runs the old script (look into /etc/cron.d, crontab -l, /etc/inittab, rc.local): ${FIGHT}`));
  }
  return lines;
}

const NO_HOST_ROUTE =
  'Backroute asks through the uplink itself and needs no host route; it would also hold the traffic of the whole LAN to that address in the fast uplink while that is down';
const FIGHT = 'the old script and Backroute would fight over the default route';

function targetsOf(found: OldWay): readonly string[] {
  return [...new Set(SIDES.flatMap((side) => found.facts.targets[side]?.value ?? []))];
}

function hostRouteRemarks(found: OldWay): Remark[] {
  const targets = targetsOf(found);
  return found.hostRoutes.map(({ value: { destination, gateway }, origin }) => {
    if (targets.includes(destination)) return { origin, why: `take this host route to the upstream away: ${NO_HOST_ROUTE}` };
    const routers = SIDES.filter((side) => found.facts.gateway[side]?.value === gateway);
    const [side] = routers;
    const why =
      side === undefined
        ? 'a host route to something else: it may stay if you know what it is for'
        : `a host route through the ${side} router: if it was made for the old script take it away, since ${NO_HOST_ROUTE}`;
    return { origin, why };
  });
}

function cronRemarks(found: OldWay): Remark[] {
  return found.cron.map(({ origin }) => ({
    origin,
    why: `take this line away: ${FIGHT}. For a run by cron there is backroute once`,
  }));
}

/** A router behind which a host route leads to the upstream, where no script names them. */
function completed(found: OldWay): void {
  const { facts } = found;
  if (facts.targets.fast !== null || found.hostRoutes.length === 0) return;
  const fast = facts.gateway.fast?.value;
  const through = found.hostRoutes.filter(({ value }) => value.gateway !== '' && (fast === undefined || value.gateway === fast));
  const [first] = through;
  if (first === undefined || through.some(({ value }) => value.gateway !== first.value.gateway)) return;
  if (facts.gateway.backup?.value === first.value.gateway) return;
  if (facts.gateway.fast === null)
    facts.gateway = { ...facts.gateway, fast: { value: first.value.gateway, origin: first.origin } };
  const hosts = [...new Set(through.map(({ value }) => value.destination))];
  facts.targets = { ...facts.targets, fast: { value: hosts, origin: first.origin } };
}

/** The text, or why none can be made. */
export function yamlText(found: OldWay, files: readonly string[]): { readonly text: string } | { readonly why: string } {
  completed(found);
  const { facts } = found;
  const { fast, backup } = facts.gateway;
  if (fast === null && backup === null) {
    const seen = found.known ? 'an upstream is named, but no router' : 'neither upstream nor fastrouter nor backrouter is set';
    return { why: `no such script: ${seen}` };
  }
  const lines = [
    `# Made by \`backroute import\` from ${files.map(printable).join(', ')}.`,
    '#',
    '# Before Backroute starts, take away:',
  ];
  lines.push(...removals(found).map((line) => `#   ${line}`), '', 'uplinks:');
  const same = fast !== null && backup !== null && fast.value.toLowerCase() === backup.value.toLowerCase();
  if (same) found.leave(backup.origin, 'it is the fast router as well: two uplinks need two ways out');
  const written = new Map(SIDES.filter((side) => !(same && side === 'backup')).map((side) => [side, uplinkLines(found, side)]));
  lines.push(...[...written.values()].flat());
  const uplinks = [...written.keys()].filter((side) => written.get(side)?.[0] === `  ${side}:`);
  if (uplinks.length === 0) return { why: 'no router that it names can be used: a link-local address needs its interface' };
  if (facts.log !== null) lines.push(...logLines(facts.log.value));
  const relay = relayLines(found, uplinks);
  lines.push(...mailLines(found), ...followLines(found, uplinks, relay.length > 0), ...relay);
  lines.push(...leftLines(found, files));
  return { text: `${lines.join('\n')}\n` };
}

// ---- uplinks ---------------------------------------------------------------------------------------------------------

function uplinkLines(found: OldWay, side: Side): string[] {
  const { facts } = found;
  const gateway = facts.gateway[side];
  if (gateway === null) return [`  # ${side}: no router was found for it; write its gateway:`];
  const device = facts.interface[side];
  const zone = gateway.value.includes('%');
  if (/^fe[89ab]/i.test(gateway.value) && !zone && device === null) {
    found.leave(gateway.origin, 'a link-local address needs its interface: write it as fe80::1%eth0');
    return [`  # ${side}: its gateway needs an interface; see the end of this file`];
  }
  const lines = [`  ${side}:`, `    gateway: ${scalar(gateway.value)}`];
  if (device !== null && (!zone || gateway.value.endsWith(`%${device.value}`)))
    lines.push(`    interface: ${scalar(device.value)}`);
  else if (device !== null) found.leave(device.origin, 'the gateway names another interface already');
  const targets = fittingTargets(found, side);
  if (targets.length > 0) lines.push('    targets:', ...targets.map((target) => `      - ${scalar(target)}`));
  else lines.push(...targetAdvice(found, side));
  return lines;
}

/** An IPv4 gateway reaches no IPv6 address; two spellings of one target are one. */
function fittingTargets(found: OldWay, side: Side): string[] {
  const gateway = found.facts.gateway[side]?.value ?? '';
  const given = found.facts.targets[side];
  const fits = (target: string): boolean =>
    target.includes('%') ? false : isIPv6(gateway.replace(/%.*/, '')) ? !isIPv4(target) : !isIPv6(target);
  const misfits = (given?.value ?? []).filter((target) => !fits(target));
  if (given !== null && misfits.length > 0) found.leave(given.origin, `the ${side} router cannot reach ${misfits.join(', ')}`);
  const seen = new Set<string>();
  return (given?.value ?? []).filter((target) => {
    const key = target.toLowerCase();
    return fits(target) && !seen.has(key) && seen.add(key) !== undefined;
  });
}

function targetAdvice(found: OldWay, side: Side): string[] {
  const other = found.facts.targets[side === 'fast' ? 'backup' : 'fast']?.value ?? [];
  const advice =
    'The old script looked at no address beyond this router: alone the router itself is watched, which proves little. Name one or two:';
  const example = other.length > 0 ? other : ['192.0.2.1'];
  const lines = [...wrapped(advice), `targets: [${example.map(scalar).join(', ')}]`];
  if (other.length > 0) {
    lines.push(...wrapped('This one serves both if it answers from anywhere: each probe leaves through its own uplink.'));
  }
  return lines.map((line) => `    # ${line}`);
}

function logLines(path: string): string[] {
  const note = '# The service may write below /var/log/backroute/ only: name a file there if it does not run as root.';
  return [...(path.startsWith('/var/log/backroute/') ? [] : [note]), `log: ${scalar(path)}`];
}

// ---- mail ------------------------------------------------------------------------------------------------------------

function mailLines({ facts }: OldWay): string[] {
  const to = facts.mailTo?.value ?? [];
  if (to.length === 0) return [];
  const lines = ['notify:', '  admin:', '    mail:'];
  if (to.length === 1) lines.push(`      to: ${scalar(to[0] ?? '')}`);
  else lines.push('      to:', ...to.map((address) => `        - ${scalar(address)}`));
  if (facts.mailFrom !== null) lines.push(`      from: ${scalar(facts.mailFrom.value)}`);
  return lines;
}

// ---- services --------------------------------------------------------------------------------------------------------

function followLines(found: OldWay, uplinks: readonly Side[], relays: boolean): string[] {
  const { reload } = found.facts;
  const sides = uplinks.filter((side) => found.copies[side].length > 0);
  for (const side of SIDES.filter((one) => !uplinks.includes(one))) {
    for (const { origin } of found.copies[side]) found.leave(origin, `there is no uplink ${side}`);
  }
  const all = sides.flatMap((side) => found.copies[side]);
  const usable = new Map(sides.map((side) => [side, found.copies[side].filter((copy) => !isChain(copy, all, found))]));
  if ([...usable.values()].every((list) => list.length === 0)) {
    const why = relays ? 'mail-relay: reloads Postfix by itself' : 'there are no copied files that it would serve';
    if (reload !== null) found.leave(reload.origin, why);
    return [];
  }
  const words = [...all.flatMap(({ value }) => [value.from, value.to]), ...(reload?.value ?? [])].join(' ');
  const lines = ['follow:', `  ${/mail|exim|postfix|smtp|sendmail/.test(words) ? 'mail' : 'services'}:`, '    copies:'];
  for (const [side, list] of usable) {
    if (list.length > 0) lines.push(`      ${side}:`, ...list.map(({ value }) => `        - ${copyText(value)}`));
  }
  if (/\/etc\/postfix\//.test(words))
    lines.push('    # Of Postfix the relay alone can be switched more simply: see mail-relay: in docs/config.md.');
  if (reload !== null) lines.push(`    reload: [${reload.value.map(scalar).join(', ')}]`);
  else lines.push('    # No command was found that makes the service read them: write it as reload: [program, argument].');
  return lines;
}

/** A source that another copy writes over would be lost. */
function isChain({ value, origin }: Found<Copy>, all: readonly Found<Copy>[], found: OldWay): boolean {
  const chained = all.some((other) => other.value.to === value.from);
  if (chained) found.leave(origin, `another line copies over ${value.from}: keep each form in a file of its own`);
  return chained;
}

function copyText({ from, to }: Copy): string {
  return PLAIN.test(from) && PLAIN.test(to) ? `${from} -> ${to}` : `{from: ${scalar(from)}, to: ${scalar(to)}}`;
}

function relayLines(found: OldWay, uplinks: readonly Side[]): string[] {
  const { smarthost: hosts } = found.facts;
  const given = SIDES.flatMap((side) => (hosts[side] === null ? [] : [{ side, ...hosts[side] }]));
  const leave = (why: string): string[] => {
    for (const { origin } of given) found.leave(origin, why);
    return [];
  };
  const [first, second] = given;
  if (first === undefined) return [];
  if (SIDES.some((side) => found.copies[side].length > 0))
    return leave('the copied files say it already; for Postfix see mail-relay:');
  if (second === undefined) return leave('one mail server for one uplink alone: see mail-relay:');
  if (hostOf(first.value) === hostOf(second.value)) return leave('both uplinks have the same mail server: nothing has to follow');
  if (uplinks.length < 2) return leave('there is one uplink only');
  return [
    '# For Postfix on this machine; a server that wants a login gets {host: …, user: …, password-file: …}.',
    'mail-relay:',
    '  smarthosts:',
  ].concat(given.map(({ side, value }) => `    ${side}: ${scalar(value)}`));
}

function hostOf(text: string): string {
  const read = smarthost(text);
  return read.ok ? read.value.host.toLowerCase() : text;
}

// ---- what was not carried over ---------------------------------------------------------------------------------------

function leftLines(found: OldWay, files: readonly string[]): string[] {
  if (found.left.length === 0) return [];
  const order = (remark: Remark): number => files.indexOf(remark.origin.file) * 1_000_000 + remark.origin.line;
  const lines = ['', '# Not carried over:'];
  for (const { origin, why } of [...found.left].sort((a, b) => order(a) - order(b))) {
    lines.push(`#   ${place(origin)}: ${shown(origin.text)}`, ...wrapped(why).map((line) => `#     ${line}`));
  }
  return lines;
}

// ---- text ------------------------------------------------------------------------------------------------------------

/** What YAML reads as itself, in a list in brackets too. */
const PLAIN = /^[A-Za-z0-9/][A-Za-z0-9/._@+-]*$/;

function scalar(text: string): string {
  return PLAIN.test(text) ? text : JSON.stringify(text).replace(/[\u007f-\u009f\u2028\u2029\ufeff]/g, escaped);
}

function escaped(letter: string): string {
  return `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

const MAX_SHOWN = 110;
const WIDTH = 110;

function place({ file, line }: Origin): string {
  return `${printable(file)}:${line}`;
}

function shown(text: string): string {
  const plain = printable(withoutSecrets(text.trim().slice(0, 4 * MAX_SHOWN)).replace(/[ \t]+/g, ' '));
  return plain.length > MAX_SHOWN ? `${plain.slice(0, MAX_SHOWN)}…` : plain;
}

/** Nothing that ends a line, steers a terminal or is no letter of YAML. */
function printable(text: string): string {
  return text.replace(/[\p{C}\u2028\u2029\ufeff\ufffe\uffff]/gu, '?');
}

function wrapped(text: string): string[] {
  const lines: string[] = [];
  let line = '';
  const plain = printable(text);
  for (const word of (/[.:?]$/.test(plain) ? plain : `${plain}.`).split(' ')) {
    if (line !== '' && line.length + word.length >= WIDTH) {
      lines.push(line);
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
