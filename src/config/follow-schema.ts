/**
 * The shape of what follows the way out: `mail-relay`, `follow`, `resolver` and `hooks`. What spans several keys, and whether
 * the uplinks named exist, is followers.ts's.
 */
import * as z from 'zod/mini';
import { SERVICES } from './defaults.js';
import { type Host, readHost } from './host.js';
import { jsonParts, leaf, mapping, named, optional, someOf, textOr, type ValueSchema } from './leaf.js';
import { login, topics } from './notify-schema.js';
import { argument, commandLine, copyLine, smarthost } from './service-values.js';
import { bad, good, type Read, type Reader } from './units.js';
import { file, folderPath, orOff, time } from './values.js';

const patience = (builtIn: number) =>
  time(
    'A command that takes longer is ended, with all it has started.',
    { min: 1000, max: 3_600_000, why: 'Below, a busy machine is taken for a failure; above, nobody would learn of one.' },
    builtIn,
  );

// ---- mail-relay ------------------------------------------------------------------------------------------------------

const host = leaf(smarthost, { type: 'string', description: 'The mail server of the provider: host or host:port, port 25.' });
const smarthostForm = mapping({ host, ...login }, 'A smarthost with its login.');

export const mailRelay = mapping(
  {
    ...optional({
      postfix: leaf(folderPath(SERVICES.relay.postfixDirectory), {
        type: 'string',
        pattern: '^/',
        description: "Postfix's configuration folder.",
        default: SERVICES.relay.postfixDirectory,
      }),
      timeout: patience(SERVICES.relay.timeoutMs),
    }),
    smarthosts: named(
      textOr(host, smarthostForm, { description: 'A mail server, or {host: …, user: …, password-file: …}.' }),
      { description: 'By uplink: the mail server that takes mail from there.', minProperties: 1 },
      'fast: smtp.example.net:587',
    ),
  },
  'Postfix on this machine, whose smarthost follows the way out.',
);

// ---- follow ----------------------------------------------------------------------------------------------------------

const first = leaf(argument, { type: 'string', description: 'The program, then its arguments.' });
export const command = textOr(
  leaf(commandLine, { type: 'string', description: 'A command, split at blanks; no shell.' }),
  someOf(first, 'The program, then its arguments; no shell.'),
  {},
);

const copyForm = mapping(
  {
    from: file('The file as this uplink wants it.', '/etc/exim4/fast.conf'),
    to: file('The file that the service reads.', '/etc/exim4/exim4.conf'),
  },
  'A file that is copied over another.',
);
const copy = textOr(leaf(copyLine, { type: 'string', description: 'from -> to.' }), copyForm, {});

const filesFollower = mapping(
  {
    copies: named(
      someOf(copy, 'Files that are put in place together: {from: …, to: …} or "from -> to".'),
      { description: 'By uplink.', minProperties: 1 },
      'fast: [{from: /etc/exim4/fast.conf, to: /etc/exim4/exim4.conf}]',
    ),
    ...optional({
      check: command,
      reload: command,
      timeout: patience(SERVICES.files.timeoutMs),
    }),
  },
  'A service that follows by its files.',
);

export const follow = named(
  filesFollower,
  { description: 'Services that follow by their files: name, then what.' },
  'exim: {copies: {fast: [/etc/exim4/fast.conf -> /etc/exim4/exim4.conf]}, reload: [service, exim4, reload]}',
);

// ---- resolver --------------------------------------------------------------------------------------------------------

/** Nothing can be resolved before a name server answers: it has an address. */
function nameServer(text: string): Read<string> {
  const wanted = 'the address of a name server is wanted';
  const read: Read<Host> = readHost(text, 'allowed');
  if (!read.ok) return bad(wanted, 'such as 192.0.2.53', text.includes(':') && !text.includes('::') ? null : read.hint);
  const { ref, zone } = read.value;
  if (ref.kind === 'name') return bad(wanted, 'such as 192.0.2.53', 'A name could not be resolved before it answers.');
  return good(zone === null ? ref.address : `${ref.address}%${zone}`);
}
const server: Reader<string> = nameServer;

const dnsmasq = mapping(
  {
    'servers-file': file('The file that dnsmasq reads by its option servers-file.', '/etc/dnsmasq.servers'),
    ...optional({
      'pid-file': file('Where dnsmasq writes its process id.', SERVICES.resolver.pidFile, SERVICES.resolver.pidFile),
    }),
  },
  'dnsmasq: its servers-file is written, and SIGHUP sent.',
);

/** `systemd-resolved:` alone says enough. */
const resolved: ValueSchema<true> = z.pipe(
  z.any(),
  z.transform((value: unknown, ctx): true => {
    const empty = value === '' || (typeof value === 'object' && value !== null && Object.keys(value).length === 0);
    if (empty) return true;
    const complaint = bad('nothing is to be said here', 'write systemd-resolved: {}');
    ctx.issues.push({ code: 'custom', input: value, params: { complaint, hidden: false } });
    return z.NEVER;
  }),
);
jsonParts.set(resolved, {
  json: { type: ['object', 'null'], maxProperties: 0, description: 'systemd-resolved of this machine.' },
});

export const resolver = mapping(
  {
    ...optional({
      dnsmasq,
      'systemd-resolved': resolved,
      'resolv-conf': file('The file itself is written.', '/etc/resolv.conf'),
      timeout: patience(SERVICES.resolver.timeoutMs),
    }),
    servers: named(
      someOf(leaf(server, { type: 'string', description: 'Address of a name server.' }), 'Name servers.'),
      { description: "By uplink: the name servers that answer from there, such as the provider's.", minProperties: 1 },
      'fast: [192.0.2.53]',
    ),
  },
  "The name servers this machine's resolver asks.",
);

// ---- hooks -----------------------------------------------------------------------------------------------------------

export const hooks = mapping(
  optional({
    directory: leaf(orOff(folderPath(SERVICES.hooks.directory)), {
      type: 'string',
      pattern: '^(/|off$)',
      description: 'Folder whose executables are run in the order of their names, or off.',
      default: SERVICES.hooks.directory,
    }),
    commands: someOf(command, 'Commands that are run after them, in this order.'),
    topics,
    timeout: patience(SERVICES.hooks.timeoutMs),
  }),
  'Programs of yours that are run when something changes.',
);

export type RelayShape = z.output<typeof mailRelay>;
export type FilesShape = z.output<typeof filesFollower>;
export type ResolverShape = z.output<typeof resolver>;
export type HooksShape = z.output<typeof hooks>;
