/**
 * Who is told: from the typed file to the core's ChannelConfig, and what can be wrong between the keys of a channel.
 * Knows neither YAML's nor zod's ways, nor how a message is sent.
 */
import type { ChannelConfig, MailConfig, MqttConfig, SecretRef, Topic, WebhookConfig } from '../core/services.js';
import { SERVICES } from './defaults.js';
import type { ChannelShape, MailShape, MqttShape, WebhookShape } from './notify-schema.js';
import { secretOf } from './notify-schema.js';
import { complaint, type Path, type Report } from './problem.js';
import { headerName } from './service-values.js';

export function mergeChannels(file: Readonly<Record<string, ChannelShape>>, report: Report): ChannelConfig[] {
  const channels: ChannelConfig[] = [];
  for (const [name, shape] of Object.entries(file)) {
    const transport = transportOf(shape, ['notify', name], report);
    if (transport === null) continue;
    const topics = topicsOf(shape.topics, ['notify', name], report);
    channels.push({ name, topics, maxAgeMs: shape['max-age'] ?? SERVICES.maxAgeMs, transport });
  }
  return channels;
}

/** Each once, all where none is named. */
export function topicsOf(given: readonly Topic[] | undefined, path: Path, report: Report): readonly Topic[] {
  for (const [index, topic] of (given ?? []).entries()) {
    if (given?.indexOf(topic) !== index)
      report([...path, 'topics', index], null, complaint('the same topic stands in the list already'));
  }
  return given ?? SERVICES.topics;
}

function transportOf(shape: ChannelShape, path: Path, report: Report): ChannelConfig['transport'] | null {
  const given = (['mail', 'webhook', 'mqtt'] as const).filter((kind) => shape[kind] !== undefined);
  if (given.length !== 1) {
    const message =
      given.length === 0 ? 'it is not said how: one of mail, webhook or mqtt is wanted' : 'a channel has one way only';
    const hint = given.length === 0 ? null : `Make ${given.join(' and ')} channels of their own, each with its name.`;
    report(path, null, complaint(message, given.length === 0 ? 'such as mail: {to: admin@example.net}' : null, hint));
    return null;
  }
  if (shape.mail !== undefined) return mailOf(shape.mail, [...path, 'mail'], report);
  if (shape.webhook !== undefined) return webhookOf(shape.webhook, [...path, 'webhook'], report);
  return shape.mqtt === undefined ? null : mqttOf(shape.mqtt, [...path, 'mqtt'], report);
}

// ---- logins ----------------------------------------------------------------------------------------------------------

export interface LoginShape {
  readonly user?: string | undefined;
  readonly 'password-file'?: string | undefined;
  readonly 'password-env'?: string | undefined;
}

/** User and place of the password: both or neither. */
export function loginOf(shape: LoginShape, path: Path, report: Report): { user: string; password: SecretRef } | null {
  const password = one(shape, 'password', path, report);
  if (shape.user === undefined) {
    if (password !== null) report(path, null, complaint('a password without a user', null, 'Add user:.'));
    return null;
  }
  if (password === null) {
    report([...path, 'user'], null, complaint('a user without a password', null, 'Add password-file: or password-env:.'));
    return null;
  }
  return { user: shape.user, password };
}

type Places<K extends string> = { readonly [P in `${K}-file` | `${K}-env`]?: string | undefined };

function one<K extends 'password' | 'token' | 'url'>(shape: Places<K>, key: K, path: Path, report: Report): SecretRef | null {
  const [file, environment] = [shape[`${key}-file`], shape[`${key}-env`]];
  if (file !== undefined && environment !== undefined) {
    report([...path, `${key}-env`], null, complaint(`${key}-file names another place for the same`, null, 'Keep one of them.'));
  }
  return secretOf(file, environment);
}

// ---- mail ------------------------------------------------------------------------------------------------------------

function mailOf(shape: MailShape, path: Path, report: Report): MailConfig | null {
  const to = typeof shape.to === 'string' ? [shape.to] : shape.to;
  for (const [index, address] of to.entries()) {
    if (to.indexOf(address) !== index)
      report([...path, 'to', index], null, complaint('the same address stands in the list already'));
  }
  const [first] = to;
  if (first === undefined) return null;
  const sendmail = shape.sendmail ?? SERVICES.mail.sendmail;
  return { kind: 'mail', from: shape.from ?? first, to, smtp: smtpOf(shape, path, report), sendmail };
}

function smtpOf(shape: MailShape, path: Path, report: Report): MailConfig['smtp'] {
  const login = loginOf(shape, path, report);
  const { via } = shape;
  if (via === undefined || via.kind === 'sendmail') {
    for (const key of ['tls', 'user'] as const) {
      if (shape[key] === undefined) continue;
      const wrong = complaint('the local sendmail program needs none of it', null, 'Name a server by via: smtp://….');
      report([...path, key], null, wrong);
    }
    return null;
  }
  if (shape.sendmail !== undefined) {
    report(
      [...path, 'sendmail'],
      null,
      complaint('mail goes to a server here: this program is not used', null, 'Leave one of them out.'),
    );
  }
  const { plain, submission, tls: tlsPort } = SERVICES.smtpPort;
  const hasLogin = shape.user !== undefined;
  const port = via.port ?? (via.tls ? tlsPort : hasLogin ? submission : plain);
  if (!via.tls && port === tlsPort && shape.tls !== 'tls') {
    const wrong = complaint('a server speaks TLS from the first byte on this port', null, `Did you mean smtps://${via.host}?`);
    report([...path, 'via'], null, wrong);
  }
  if (via.tls && shape.tls !== undefined && shape.tls !== 'tls') {
    report([...path, 'tls'], null, complaint('smtps:// is TLS from the first byte', null, 'Write smtp://, or leave tls out.'));
  }
  const tls = via.tls ? 'tls' : (shape.tls ?? (hasLogin || port === submission ? 'starttls' : 'opportunistic'));
  if (hasLogin && (tls === 'opportunistic' || tls === 'none')) {
    const wrong = complaint('the password may go over the line for everyone to read', null, 'Use tls: starttls.');
    report([...path, 'tls'], null, wrong, 'warning');
  }
  return { host: via.host, port, tls, login };
}

// ---- webhook ---------------------------------------------------------------------------------------------------------

/** Headers that other keys or the request itself give. */
const TAKEN_HEADERS: Readonly<Record<string, string>> = {
  'content-type': 'Write content-type: beside headers.',
  'content-length': 'It follows from the message.',
  'transfer-encoding': 'It follows from the message.',
  connection: 'It is the concern of the connection.',
  host: 'It follows from the URL.',
};

function webhookOf(shape: WebhookShape, path: Path, report: Report): WebhookConfig | null {
  const recipe = shape.recipe ?? SERVICES.webhook.recipe;
  const place = one(shape, 'url', path, report);
  if (shape.url !== undefined && place !== null) {
    report([...path, 'url'], '(not shown)', complaint('the URL is named twice', null, 'Keep one of url, url-file and url-env.'));
  }
  const url = shape.url ?? place;
  if (url === null) {
    const example = 'such as url: https://ntfy.example.net/uplinks, or url-file: /etc/backroute/webhook-url';
    report(path, null, complaint('url is missing', example));
  }
  if ((recipe === 'slack' || recipe === 'discord') && shape.url !== undefined) {
    const wrong = complaint('whoever knows this URL may write there: it is a secret', null, 'Better name a file by url-file:.');
    report([...path, 'url'], '(not shown)', wrong, 'warning');
  }
  const token = one(shape, 'token', path, report);
  const room = roomOf(recipe, shape.room, token, path, report);
  const headers = headersOf(shape.headers ?? {}, token, [...path, 'headers'], report);
  if (url === null) return null;
  return {
    kind: 'webhook',
    recipe,
    url,
    method: shape.method ?? null,
    headers,
    token,
    room,
    template: shape.template ?? null,
    contentType: shape['content-type'] ?? null,
  };
}

function roomOf(recipe: string, room: string | undefined, token: SecretRef | null, path: Path, report: Report): string | null {
  if (recipe !== 'matrix') {
    if (room !== undefined) report([...path, 'room'], null, complaint('only the recipe matrix has rooms'));
    return null;
  }
  if (room === undefined) report(path, null, complaint('room is missing', 'such as room: "!abcdefg:example.net"'));
  if (token === null) {
    report(path, null, complaint('Matrix wants an access token', null, 'Name its place by token-file: or token-env:.'));
  }
  return room ?? null;
}

type HeaderShape = string | { readonly file?: string | undefined; readonly env?: string | undefined };

function headersOf(
  shape: Readonly<Record<string, HeaderShape>>,
  token: SecretRef | null,
  path: Path,
  report: Report,
): Record<string, string | SecretRef> {
  const headers = new Map<string, string | SecretRef>();
  const seen = new Set<string>();
  for (const [name, value] of Object.entries(shape)) {
    const lower = name.toLowerCase();
    const at = [...path, name];
    const taken = TAKEN_HEADERS[lower];
    if (!headerName.test(name)) report(at, name, complaint('this is no name of a header', 'such as X-Priority'));
    else if (taken !== undefined) report(at, name, complaint('this header is not given here', null, taken));
    else if (seen.has(lower)) report(at, name, complaint('the same header stands here already'));
    else if (lower === 'authorization' && token !== null) {
      report(at, name, complaint('the token goes into this header already', null, 'Keep one of them.'));
    }
    seen.add(lower);
    if (typeof value === 'string') {
      if (SECRET_HEADER.test(lower)) {
        const hint = `Write it alone into a file that only root may read: ${name}: {file: /etc/backroute/…}, or {env: NAME}.`;
        report(at, '(not shown)', complaint('a secret does not stand in this file', null, hint));
      }
      headers.set(name, value);
      continue;
    }
    const source = secretOf(value.file, value.env);
    if (source === null || (value.file !== undefined && value.env !== undefined)) {
      report(at, null, complaint('one of file and env is wanted', 'such as {file: /etc/backroute/token}'));
    }
    if (source !== null) headers.set(name, source);
  }
  return Object.fromEntries(headers);
}

const SECRET_HEADER = /^(proxy-)?authorization$|^cookie$|(^|-)(token|secret|password|api-?key|auth|key)$/;

// ---- MQTT ------------------------------------------------------------------------------------------------------------

function mqttOf(shape: MqttShape, path: Path, report: Report): MqttConfig {
  const login = loginOf(shape, path, report);
  const discovery = shape.discovery ?? SERVICES.mqtt.discovery;
  const prefix = shape.prefix ?? SERVICES.mqtt.prefix;
  if (discovery === prefix) {
    report([...path, 'discovery'], discovery, complaint('the state and its discovery need topics of their own'));
  }
  return { kind: 'mqtt', url: shape.url, login, prefix, discovery: discovery === 'off' ? null : discovery };
}
