/**
 * The constants of an old script: each goes where its name and its value say, or is left with the reason. Reads no syntax.
 */
import { interfaceComplaint, readHost } from '../../config/host.js';
import { commandLine, mailAddress, smarthost } from '../../config/service-values.js';
import type { Read } from '../../config/units.js';
import { filePath } from '../../config/values.js';
import type { Copy, OldWay, Origin } from './old-way.js';
import { type Role, roleOf } from './roles.js';
import type { Assignment } from './shell-reader.js';

/** Carries one constant. Null, or why it cannot be. */
export function takeConstant(
  found: OldWay,
  { name, value: word, certain }: Assignment,
  origin: Origin,
  isCron: boolean,
  isUsed: boolean,
): string | null {
  const { value } = word;
  if (!certain) return `${name} is set under a condition only`;
  if (value === null) return word.unknown ?? 'its value is not known';
  const role = roleOf(name, value);
  if (role.kind === 'none') return isUsed ? 'its value stands where other lines name it' : role.why;
  if (value.trim() === '') return `${name} is empty`;
  if (/[\n\r]/.test(value)) return `${name} has more than one line`;
  // What cron does with the output of its jobs is no wish to be told, unless nothing else is said.
  if (isCron && name === 'MAILTO' && found.facts.mailTo !== null) return 'it is cron that mails there';
  return carry(found, role, name, value.trim(), origin);
}

const PATH = filePath('/etc/exim4/exim4.conf');

function carry(found: OldWay, role: Exclude<Role, { kind: 'none' }>, name: string, value: string, origin: Origin): string | null {
  const { facts, files } = found;
  switch (role.kind) {
    case 'targets': {
      const hosts = [...new Set(value.split(/[\s,]+/).filter((host) => host !== ''))];
      const wrong = hosts.map((host) => readHost(host)).find((read) => !read.ok);
      if (wrong?.ok === false) return wrong.message;
      facts.targets = { ...facts.targets, [role.side]: found.newer(facts.targets[role.side], { value: hosts, origin }) };
      return null;
    }
    case 'gateway':
    case 'interface':
    case 'smarthost': {
      const read = READERS[role.kind](value);
      if (!read.ok) return read.message;
      facts[role.kind] = { ...facts[role.kind], [role.side]: found.newer(facts[role.kind][role.side], { value, origin }) };
      return null;
    }
    case 'file': {
      const read = PATH(value);
      if (!read.ok) return read.message;
      files.push({ name, side: role.side, stem: role.stem, found: { value, origin } });
      return null;
    }
    case 'log': {
      const read = PATH(value);
      if (!read.ok) return read.message;
      facts.log = found.newer(facts.log, { value, origin });
      return null;
    }
    case 'mail-to':
    case 'mail-from': {
      const read = recipients(value);
      if (typeof read === 'string') return read;
      if (role.kind === 'mail-to') facts.mailTo = found.newer(facts.mailTo, { value: read, origin });
      else facts.mailFrom = found.newer(facts.mailFrom, { value: read[0] ?? value, origin });
      return null;
    }
    case 'reload': {
      const command = commandLine(value);
      if (!command.ok) return `${command.message}; write it as reload: of the follower`;
      const alone = /^\/etc\/(rc\.d\/)?init\.d\/[\w.-]+$/.test(value);
      return takeReload(found, alone ? [value, 'reload'] : command.value, origin);
    }
  }
}

const READERS = { gateway: readHost, interface: interfaceName, smarthost } as const;

function interfaceName(text: string): Read<string> {
  return interfaceComplaint(text) ?? { ok: true, value: text };
}

/** Commands that prepare a service's files, but do not make it read them. */
const PREPARING = /^(\S*\/)?(newaliases|make|update-exim4\.conf)\b/;

/** One command is run: that which reloads a service before those that only prepare its files. Null, or why it is left. */
export function takeReload(found: OldWay, command: readonly string[], origin: Origin): string | null {
  const { facts } = found;
  const older = facts.reload;
  if (older === null) {
    facts.reload = { value: command, origin };
    return null;
  }
  if (older.value.join(' ') === command.join(' ')) return null;
  const why = (kept: readonly string[]): string =>
    `one command is run, ${kept.join(' ')}: put both into a script if both are needed`;
  if (!PREPARING.test(older.value.join(' ')) || PREPARING.test(command.join(' '))) return why(older.value);
  found.leave(older.origin, why(command));
  facts.reload = { value: command, origin };
  return null;
}

/** Mailboxes of this machine get their @localhost: what is wrong with one, or all of them. */
function recipients(text: string): readonly string[] | string {
  const addresses: string[] = [];
  // `Name <address>`: the address alone.
  const bare = /<[^<>]+>/.test(text) ? [...text.matchAll(/<([^<>]+)>/g)].map((match) => match[1]).join(' ') : text;
  for (const part of bare.split(/[\s,;]+/).filter((one) => one !== '')) {
    const read = mailAddress(/^[a-z0-9][a-z0-9._-]*$/i.test(part) ? `${part}@localhost` : part);
    if (!read.ok) return read.message;
    if (!addresses.includes(read.value)) addresses.push(read.value);
  }
  return addresses.length === 0 ? 'a mail address is wanted' : addresses;
}

/** `mailconf`, `fastmailconf` and `backmailconf` belong together; so do others where there is only one of each. */
export function pairFiles(found: OldWay): void {
  const targets = found.files.filter(({ side }) => side === null);
  const sources = found.files.filter(({ side }) => side !== null);
  const used = new Set<string>();
  for (const { name, side, stem, found: source } of sources) {
    if (side === null) continue;
    const target = targets.find((one) => one.stem === stem) ?? (targets.length === 1 ? targets[0] : undefined);
    const copied = found.copies[side].some(({ value }) => value.from === source.value);
    if (target !== undefined) {
      used.add(target.name);
      const value: Copy = { from: source.value, to: target.found.value };
      const wrong = copied ? null : found.addCopy(side, { value, origin: source.origin });
      if (wrong !== null) found.leave(source.origin, wrong);
    } else if (!copied) {
      found.leave(source.origin, `over which file ${name} is copied is not said: write it under copies: of a follower`);
    }
  }
  for (const target of targets) {
    const copied = [...found.copies.fast, ...found.copies.backup].some(({ value }) => value.to === target.found.value);
    if (!copied && !used.has(target.name)) {
      found.leave(target.found.origin, 'which files are copied over it is not said: write them under copies: of a follower');
    }
  }
}
