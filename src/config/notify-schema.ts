/**
 * The shape of `notify`: who is told, by mail, webhook or MQTT. What spans several keys is channels.ts's.
 */
import type * as z from 'zod/mini';
import type { SecretRef } from '../core/services.js';
import { SERVICES } from './defaults.js';
import { leaf, mapping, named, optional, someOf, textOr } from './leaf.js';
import {
  environmentName,
  headerValue,
  line,
  mailAddress,
  mqttUrl,
  RECIPES,
  recipe,
  room,
  templateText,
  topicPrefix,
  via,
  webhookUrl,
} from './service-values.js';
import { choice } from './units.js';
import { file, NAME_PATTERN, orOff, time } from './values.js';

/** With many services the URL itself is the secret. */
const always = (): boolean => true;
const holdsLogin = (text: string): boolean => text.includes('@');

/** Where a secret is found; the secret itself never stands in the file. */
export const secretFile = (what: string) =>
  file(`File that holds ${what} and nothing else; read at the moment of use.`, '/etc/backroute/password');
export const secretEnvironment = (what: string) =>
  leaf(environmentName, { type: 'string', description: `Environment variable that holds ${what}.` });

export const login = optional({
  user: leaf(line('the name of a user is wanted'), { type: 'string', description: 'User name of the login.' }),
  'password-file': secretFile('the password'),
  'password-env': secretEnvironment('the password'),
});

const topic = leaf(choice(...SERVICES.topics), { enum: SERVICES.topics });
export const topics = someOf(
  topic,
  'health: changes of an uplink; switch: the default route moved; problem: any other warning. All of them where left out.',
);

const address = leaf(mailAddress, { type: 'string', description: 'A mail address.' });

const mail = mapping(
  {
    to: textOr(address, someOf(address, 'Mail addresses.'), { description: 'Who gets the mail: an address or a list of them.' }),
    ...optional({
      from: leaf(mailAddress, { type: 'string', description: 'Sender; the first of `to` where left out.' }),
      via: leaf(
        via,
        {
          type: 'string',
          description: 'sendmail: the local program; or smtp://host:port, smtps://host:port.',
          default: SERVICES.mail.via,
        },
        holdsLogin,
      ),
      sendmail: file('The local sendmail program.', SERVICES.mail.sendmail, SERVICES.mail.sendmail),
      tls: leaf(choice('starttls', 'tls', 'opportunistic', 'none'), {
        enum: ['starttls', 'tls', 'opportunistic', 'none'],
        description:
          'starttls: demanded; tls: from the first byte; opportunistic: taken where offered. Left out: tls with smtps://, starttls with a login or on port 587, else opportunistic.',
      }),
    }),
    ...login,
  },
  'Told by mail.',
);

const headerSource = mapping(
  optional({ file: secretFile('the value'), env: secretEnvironment('the value') }),
  'Where the value of a header is found.',
);

const webhook = mapping(
  optional({
    recipe: leaf(recipe, { enum: RECIPES, description: 'Whose ways the message follows.', default: SERVICES.webhook.recipe }),
    url: leaf(webhookUrl, { type: 'string', pattern: '^[hH][tT][tT][pP][sS]?://', description: 'Where it is sent.' }, always),
    'url-file': secretFile('the URL'),
    'url-env': secretEnvironment('the URL'),
    'token-file': secretFile('the token that goes with it as Authorization: Bearer'),
    'token-env': secretEnvironment('that token'),
    room: leaf(room, { type: 'string', description: "Matrix: the room's id." }),
    headers: named(
      textOr(leaf(headerValue, { type: 'string', description: 'The value.' }, always), headerSource, {
        description: 'A value, or where it is found: {file: …} or {env: …}.',
      }),
      { description: 'Further headers.' },
      'X-Priority: high',
    ),
    template: leaf(templateText, {
      type: 'string',
      description: 'Text of the message, fields in double braces; that of the recipe where left out.',
    }),
    method: leaf(choice('POST', 'PUT'), { enum: ['POST', 'PUT'], description: 'That of the recipe where left out.' }),
    'content-type': leaf(headerValue, { type: 'string', description: 'That of the recipe where left out.' }),
  }),
  'Told by an HTTP request.',
);

const mqtt = mapping(
  {
    url: leaf(mqttUrl, { type: 'string', pattern: '^[mM][qQ][tT][tT][sS]?://', description: 'The broker.' }, holdsLogin),
    ...login,
    ...optional({
      prefix: leaf(topicPrefix, {
        type: 'string',
        description: 'First levels of the topics.',
        default: SERVICES.mqtt.prefix,
      }),
      discovery: leaf(orOff(topicPrefix), {
        type: 'string',
        description: "Home Assistant's discovery prefix, or off.",
        default: SERVICES.mqtt.discovery,
      }),
    }),
  },
  'The state of every uplink, retained by an MQTT broker.',
);

const channel = mapping(
  optional({
    mail,
    webhook,
    mqtt,
    topics,
    'max-age': time(
      'A message that could not be delivered is given up after this.',
      { min: 60_000, max: 7_776_000_000, why: 'Older news is of no use, and younger must survive an outage.' },
      SERVICES.maxAgeMs,
    ),
  }),
  'Someone who is told.',
);

/** `notify`. */
export const notify = named(
  channel,
  { description: 'Who is told: name, then how.', propertyNames: { pattern: NAME_PATTERN } },
  'admin: {mail: {to: admin@example.net}}',
);

export type ChannelShape = z.output<typeof channel>;
export type MailShape = z.output<typeof mail>;
export type WebhookShape = z.output<typeof webhook>;
export type MqttShape = z.output<typeof mqtt>;

/** The place of a secret, where the file names one. */
export function secretOf(path: string | undefined, environment: string | undefined): SecretRef | null {
  if (path !== undefined) return { kind: 'file', path };
  return environment === undefined ? null : { kind: 'environment', name: environment };
}
