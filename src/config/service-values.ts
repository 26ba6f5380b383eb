/**
 * What only services need: mail addresses, commands without a shell, places of secrets, names of channels and recipes.
 * Text to value with a complaint that helps; knows nothing of keys. Sources: RFC 5321 section 4.1.2, RFC 9110 section 5.
 */
import type { Argv } from '../core/services.js';
import { readHostName, readHostPort } from './host.js';
import { nearest } from './nearest.js';
import { bad, didYouMean, good, type Read, type Reader } from './units.js';

/** Anything that ends a line or steers a terminal. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const CONTROL = /[\x00-\x1f\x7f]/;

const ADDRESS_EXAMPLE = 'such as admin@example.net';

/** One address without a display name; what could be taken for an option of sendmail, or for a second header, is none. */
export const mailAddress: Reader<string> = (text) => {
  if (CONTROL.test(text)) return bad('a mail address is one line without control characters', ADDRESS_EXAMPLE);
  const inner = /<([^<>]*)>$/.exec(text)?.[1];
  if (inner !== undefined) return bad('a mail address without a name is wanted', ADDRESS_EXAMPLE, didYouMean(inner, mailAddress));
  if (/[,;\s]/.test(text)) return bad('one mail address is wanted', ADDRESS_EXAMPLE, 'Several addresses stand in a list.');
  const at = text.lastIndexOf('@');
  if (at < 0) {
    const local = /^[a-z0-9][a-z0-9._-]*$/i.test(text) ? `Did you mean ${text}@localhost, a mailbox of this machine?` : null;
    return bad('a mail address is wanted, with an @', ADDRESS_EXAMPLE, local);
  }
  const local = text.slice(0, at);
  const atoms = /^[\w!#$%&'*+/=?^`{|}~-]+(\.[\w!#$%&'*+/=?^`{|}~-]+)*$/;
  if (!atoms.test(local) || local.length > 64 || local.startsWith('-')) {
    return bad('what stands before the @ makes no mail address', ADDRESS_EXAMPLE);
  }
  const domain = readHostName(text.slice(at + 1), 'allowed');
  return domain.ok
    ? good(`${local}@${domain.value}`)
    : bad('what stands behind the @ is no domain', ADDRESS_EXAMPLE, domain.hint);
};

export type Via =
  | { readonly kind: 'sendmail' }
  | { readonly kind: 'smtp'; readonly tls: boolean; readonly host: string; readonly port: number | null };

const VIA_WANTED = 'the word sendmail or the URL of a mail server is wanted';
const VIA_EXAMPLE = 'such as smtp://mail.example.net:587 or smtps://mail.example.net';

/** How mail leaves: the local program, or a server. */
export const via: Reader<Via> = (text) => {
  if (text.toLowerCase() === 'sendmail') return good({ kind: 'sendmail' });
  const url = /^(smtps?):\/\/(.*)$/is.exec(text);
  const rest = url?.[2] ?? '';
  if (url === null) {
    const program = text.startsWith('/') ? 'Another sendmail program is named by sendmail:.' : null;
    return bad(VIA_WANTED, VIA_EXAMPLE, program ?? didYouMean(`smtp://${text}`, via));
  }
  if (rest.includes('@')) return bad('a login has no place in the URL', VIA_EXAMPLE, 'Write user: and password-file:.');
  if (/[/?#]/.test(rest.replace(/\/$/, ''))) return bad('the URL of a mail server ends behind its port', VIA_EXAMPLE);
  const server = readServer(rest.replace(/\/$/, ''));
  return server.ok ? good({ kind: 'smtp', tls: url[1]?.toLowerCase() === 'smtps', ...server.value }) : server;
};

export interface Server {
  /** an address or a name */
  readonly host: string;
  /** null = the usual one */
  readonly port: number | null;
}

/** `host`, `host:port`, `[v6]:port`; this machine itself may be meant. */
export function readServer(text: string): Read<Server> {
  const read = readHostPort(text, 0, 'allowed');
  if (!read.ok) return read;
  const { ref, zone, port } = read.value;
  if (zone !== null) return bad('a server is not named by a link-local address with its interface');
  return good({ host: ref.kind === 'address' ? ref.address : ref.name, port: port === 0 ? null : port });
}

/** Without the brackets Postfix would ask for the domain's MX: here the host itself is meant, however it is written. */
export const smarthost: Reader<Server> = (text) => {
  const example = 'such as "[smtp.example.net]:587" or smtp.example.net:587';
  if (text === '') return bad('the mail server of the provider is wanted', example);
  if (text.includes('://')) return bad('a host is wanted, not a URL', example);
  const bracketed = /^\[([^\]]*)\](.*)$/.exec(text);
  const inner = bracketed?.[1] ?? '';
  const server = readServer(bracketed === null || inner.includes(':') ? text : `${inner}${bracketed[2]}`);
  return server.ok ? server : bad(server.message, example, server.hint);
};

const COMMAND_WANTED = 'a command is wanted';
const COMMAND_EXAMPLE = 'such as [/usr/sbin/service, exim4, reload]';

/** A program found in PATH, or named by its whole path. */
export const program: Reader<string> = (text) => {
  if (text === '') return bad(COMMAND_WANTED, COMMAND_EXAMPLE);
  if (CONTROL.test(text)) return bad('a program has no control characters in its name', COMMAND_EXAMPLE);
  if (text.includes('/') && !text.startsWith('/')) {
    return bad('a program is named by its whole path, or by its name alone', COMMAND_EXAMPLE);
  }
  return good(text);
};

export const argument: Reader<string> = (text) =>
  text.includes('\0') ? bad('an argument cannot hold a NUL character') : good(text);

/** A command in one line, split at blanks. There is no shell: what only a shell understands is refused rather than passed on. */
export const commandLine: Reader<Argv> = (text) => {
  const words = text.split(/[ \t]+/).filter((part) => part !== '');
  const shell = /["'`$|<>;&*?()\\{}\n]/.exec(text)?.[0];
  if (shell !== undefined) {
    return bad(
      `the sign ${shell === '\n' ? 'line end' : shell} means something to a shell only, and there is none`,
      COMMAND_EXAMPLE,
      'Write the command as a list, or put it into a script and name that.',
    );
  }
  const first = program(words[0] ?? '');
  return first.ok ? good(words) : first;
};

/** `a -> b`, both absolute. */
export const copyLine: Reader<{ from: string; to: string }> = (text) => {
  const example = 'such as /etc/exim4/fast.conf -> /etc/exim4/exim4.conf';
  const parts = /^\s*(.*?)\s+->\s+(.*?)\s*$/.exec(text);
  if (parts === null) return bad('two files are wanted', example);
  const [, from = '', to = ''] = parts;
  const wrong = [from, to].find((path) => !path.startsWith('/') || path.endsWith('/') || CONTROL.test(path));
  if (wrong !== undefined) return bad('absolute paths of two files are wanted', example);
  return good({ from, to });
};

export const environmentName: Reader<string> = (text) =>
  /^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(text)
    ? good(text)
    : bad('the name of an environment variable is wanted', 'such as BACKROUTE_SMTP_PASSWORD');

/** Whose ways a webhook follows. */
export const RECIPES = ['ntfy', 'slack', 'discord', 'matrix', 'home-assistant', 'json'] as const;
export type Recipe = (typeof RECIPES)[number];

export const recipe: Reader<Recipe> = (text) => {
  const found = RECIPES.find((one) => one === text);
  if (found !== undefined) return good(found);
  const meant = nearest(text, RECIPES);
  return bad('one of the recipes is wanted', RECIPES.join(', '), meant === null ? null : `Did you mean ${meant}?`);
};

/** The value is never quoted: with many services the address itself is the secret. */
export const webhookUrl: Reader<string> = (text) => {
  const examples = 'such as https://ntfy.example.net/uplinks';
  if (!/^https?:\/\//i.test(text)) return bad('a URL that begins with https:// or http:// is wanted', examples);
  const authority = /^https?:\/\/([^/?#]*)/i.exec(text)?.[1] ?? '';
  if (authority.includes('@')) {
    return bad('a URL with a user name or password is not wanted', examples, 'Name the secret by token-file: or token-env:.');
  }
  if (/[\s\\\p{Cc}]/u.test(text)) return bad('a URL holds no blanks and no control characters', examples);
  const server = readServer(authority);
  if (!server.ok) return server;
  return URL.canParse(text) ? good(text) : bad('this is no valid URL', examples);
};

export const mqttUrl: Reader<string> = (text) => {
  const examples = 'such as mqtt://broker.example.net or mqtts://broker.example.net:8883';
  const url = /^mqtts?:\/\/(.*)$/is.exec(text);
  if (url === null) {
    return bad('a URL that begins with mqtt:// or mqtts:// is wanted', examples, didYouMean(`mqtt://${text}`, mqttUrl));
  }
  const rest = (url[1] ?? '').replace(/\/$/, '');
  if (rest.includes('@')) return bad('a login has no place in the URL', examples, 'Write user: and password-file:.');
  if (/[/?#]/.test(rest)) return bad('the URL of a broker ends behind its port', examples);
  const server = readServer(rest);
  return server.ok ? good(text.replace(/\/$/, '')) : server;
};

/** A level of a topic or several, neither beginning nor ending with a slash: MQTT 5.0 section 4.7. */
export const topicPrefix: Reader<string> = (text) => {
  if (/[+#\s]/.test(text) || CONTROL.test(text)) return bad('a topic holds no +, no # and no blanks', 'such as backroute');
  if (text === '' || text.split('/').includes('') || text.startsWith('$')) return bad('a topic is wanted', 'such as backroute');
  return text.length > 200 ? bad('a topic of at most 200 letters is wanted') : good(text);
};

export const headerName = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$/;

export const headerValue: Reader<string> = (text) =>
  /[^\t\x20-\x7e\xa0-\xff]/.test(text) || text.trim() !== text || text === ''
    ? bad('a header holds one line of printable letters, without blanks at its ends')
    : good(text);

/** One line of text that must not be empty: user names and the like. */
export const line =
  (wanted: string): Reader<string> =>
  (text) =>
    text === '' || CONTROL.test(text) ? bad(wanted) : good(text);

export const templateText: Reader<string> = (text) =>
  text.trim() === '' ? bad('the text of the message is wanted, with fields such as {{subject}}') : good(text);

export const room: Reader<string> = (text) => {
  if (text.startsWith('!') && !/\s/.test(text) && !CONTROL.test(text) && text.length <= 255) return good(text);
  const hint = text.startsWith('#') ? 'This is the alias; the id stands in the settings of the room, under Advanced.' : null;
  return bad("the room's id is wanted", 'such as "!abcdefg:example.net"', hint);
};
