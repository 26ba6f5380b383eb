/**
 * Worked webhooks for well-known services, as constants: what stands in the configuration is the address and the secret alone.
 * Sources: docs.ntfy.sh/publish, api.slack.com/messaging/webhooks, discord.com/developers/docs/resources/webhook,
 * spec.matrix.org client-server API 10.7, home-assistant.io/docs/automation/trigger (webhook).
 */
import type { WebhookConfig } from '../../core/services.js';
import { placeholderProblems, templateProblems } from './template.js';

export interface Recipe {
  readonly method: 'POST' | 'PUT';
  readonly contentType: string;
  /** values may hold fields */
  readonly headers: Readonly<Record<string, string>>;
  readonly template: string;
  /** behind the configuration's `url`; may hold fields, and `ROOM` for the configured room */
  readonly path: string;
}

export type RecipeName = 'json' | 'ntfy' | 'slack' | 'discord' | 'matrix' | 'home-assistant';

/** Every fact, for programs of one's own. */
const EVERYTHING = `{
  "id": {{id}},
  "thread": {{thread}},
  "host": {{host}},
  "topic": {{topic}},
  "severity": {{severity}},
  "subject": {{subject}},
  "text": {{text}},
  "uplink": {{uplink}},
  "family": {{family}},
  "from": {{from}},
  "to": {{to}},
  "reason": {{reason}},
  "time": {{time}},
  "since": {{since}},
  "outage-seconds": {{outage-seconds}},
  "active": {{active}},
  "figures": {{figures}},
  "folded": {{folded}}
}
`;

export const RECIPES: Readonly<Record<RecipeName, Recipe>> = {
  json: {
    method: 'POST',
    contentType: 'application/json',
    headers: {},
    template: EVERYTHING,
    path: '',
  },
  // Plain text with headers, so that the topic stays in the address, where it can be
  // a secret: it is as good as a password.
  ntfy: {
    method: 'POST',
    contentType: 'text/plain; charset=utf-8',
    headers: { Title: '{{title}}', Priority: '{{priority}}', Tags: '{{tag}}' },
    template: '{{message}}',
    path: '',
  },
  slack: {
    method: 'POST',
    contentType: 'application/json',
    headers: {},
    template: '{"text": "{{message-escaped}}"}',
    path: '',
  },
  // Nobody is mentioned, whatever a name looks like.
  discord: {
    method: 'POST',
    contentType: 'application/json',
    headers: {},
    template: '{"content": "{{message}}", "allowed_mentions": {"parse": []}}',
    path: '',
  },
  // `url` is the server's alone. The notice's id is the transaction's: what is sent again after a lost answer is shown once.
  matrix: {
    method: 'PUT',
    contentType: 'application/json',
    headers: {},
    template: '{"msgtype": "m.text", "body": "{{message}}"}',
    path: '/_matrix/client/v3/rooms/ROOM/send/m.room.message/{{id}}',
  },
  'home-assistant': {
    method: 'POST',
    contentType: 'application/json',
    headers: {},
    template: EVERYTHING,
    path: '',
  },
};

/** What is sent where: the configuration's words, and the recipe's where it has none. Null = no such recipe. */
export function worked(config: WebhookConfig): Recipe | null {
  if (!Object.hasOwn(RECIPES, config.recipe)) return null;
  const recipe = RECIPES[config.recipe as RecipeName];
  return {
    method: config.method ?? recipe.method,
    contentType: config.contentType ?? recipe.contentType,
    // An own template is an own message: the recipe's headers belong to it all the same.
    headers: recipe.headers,
    template: config.template ?? recipe.template,
    path: recipe.path.replace('ROOM', encodeURIComponent(config.room ?? '')),
  };
}

/** What is wrong with a webhook that only the recipes know; for `check`, before anything happens. */
export function webhookProblems(config: WebhookConfig): string[] {
  const recipe = worked(config);
  if (recipe === null) return [`unknown recipe ${config.recipe}; there are: ${Object.keys(RECIPES).join(', ')}`];
  const url = typeof config.url === 'string' ? placeholderProblems(config.url).map((problem) => `url: ${problem}`) : [];
  const headers = Object.entries(config.headers).flatMap(([name, value]) =>
    typeof value === 'string' ? placeholderProblems(value).map((problem) => `headers.${name}: ${problem}`) : [],
  );
  return [...url, ...headers, ...templateProblems(recipe.template, recipe.contentType).map((problem) => `template: ${problem}`)];
}
