/** Each recipe against a local server that checks what the real service's documentation demands. */
import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import { RECIPES, webhookProblems } from '../../../../src/action/telling/recipes.js';
import { sendWebhook } from '../../../../src/action/telling/webhook.js';
import type { Notice } from '../../../../src/core/action.js';
import type { WebhookConfig } from '../../../../src/core/services.js';
import { notice } from '../outbox-bench.js';
import { type Asked, httpServer, webhookConfig, webhookOptions } from './http-bench.js';
import { attempt } from './smtp-bench.js';

type Json = Readonly<Record<string, unknown>>;

/** Says what the real one would not take. */
type Service = (asked: Asked) => { readonly status: number; readonly text: string };

const json = (asked: Asked): Json => {
  assert.match(String(asked.headers['content-type']), /^application\/json/);
  return JSON.parse(asked.body) as Json;
};

const services: Readonly<Record<string, Service>> = {
  // docs.ntfy.sh/publish: topic in the path, Title, Priority 1..5, Tags; a body over 4,096 bytes becomes an attachment.
  ntfy: (asked) => {
    assert.ok(['POST', 'PUT'].includes(asked.method));
    assert.match(asked.path, /^\/[-_A-Za-z0-9]{1,64}$/);
    assert.match(String(asked.headers.priority), /^[1-5]$/);
    assert.match(String(asked.headers.tags), /^[a-z_,0-9]+$/);
    assert.ok(Buffer.byteLength(asked.body) <= 4096);
    assert.ok(/^[\x20-\x7e]+$/.test(String(asked.headers.title)), 'RFC 2047 for anything else');
    return { status: 200, text: '{"id":"sPs71M8A2T","event":"message"}' };
  },
  // api.slack.com/messaging/webhooks: `text`, with & < > as entities; answers the word ok.
  slack: (asked) => {
    assert.equal(asked.method, 'POST');
    const { text } = json(asked);
    if (typeof text !== 'string' || text === '') return { status: 400, text: 'no_text' };
    assert.ok(!/[<>]|&(?!amp;|lt;|gt;)/.test(text), 'control characters of mrkdwn are escaped');
    assert.ok(text.length <= 40_000);
    return { status: 200, text: 'ok' };
  },
  // discord.com/developers/docs/resources/webhook#execute-webhook: content up to 2,000 characters; 204 without a body.
  discord: (asked) => {
    assert.equal(asked.method, 'POST');
    const { content, allowed_mentions: mentions } = json(asked);
    if (typeof content !== 'string' || content === '')
      return { status: 400, text: '{"message": "Cannot send an empty message"}' };
    if (content.length > 2000) return { status: 400, text: '{"content": ["Must be 2000 or fewer in length."]}' };
    assert.deepEqual(mentions, { parse: [] });
    return { status: 204, text: '' };
  },
  // spec.matrix.org, client-server API, PUT /rooms/{roomId}/send/{eventType}/{txnId}: one event for each transaction id.
  matrix: (asked) => {
    if (asked.method !== 'PUT') return { status: 405, text: '{"errcode":"M_UNRECOGNIZED"}' };
    const [, room, event, transaction] =
      /^\/_matrix\/client\/v3\/rooms\/([^/]+)\/send\/([^/]+)\/([^/]+)$/.exec(asked.path) ?? assert.fail(asked.path);
    assert.equal(decodeURIComponent(room ?? ''), '!room:example.net');
    assert.equal(event, 'm.room.message');
    assert.ok((transaction ?? '') !== '');
    if (asked.headers.authorization !== 'Bearer syt_token') return { status: 401, text: '{"errcode":"M_UNKNOWN_TOKEN"}' };
    const { msgtype, body } = json(asked);
    assert.equal(msgtype, 'm.text');
    assert.ok(typeof body === 'string' && body !== '');
    return { status: 200, text: JSON.stringify({ event_id: `$${transaction}` }) };
  },
  // home-assistant.io/docs/automation/trigger/#webhook-trigger: POST, JSON becomes trigger.json.
  'home-assistant': (asked) => {
    if (asked.method !== 'POST') return { status: 405, text: '405: Method Not Allowed' };
    assert.match(asked.path, /^\/api\/webhook\/[-_A-Za-z0-9]+$/);
    const data = json(asked);
    assert.ok(['health', 'switch', 'problem'].includes(String(data.topic)));
    return { status: 200, text: '' };
  },
  json: (asked) => {
    const data = json(asked);
    for (const key of ['id', 'thread', 'subject', 'text', 'time', 'since', 'active', 'figures', 'outage-seconds'])
      assert.ok(key in data, key);
    assert.ok(Array.isArray(data.active) && Array.isArray(data.figures));
    return { status: 200, text: 'ok' };
  },
};

const places: Readonly<Record<string, string>> = {
  ntfy: '/uplinks',
  slack: '/services/T0/B0/XXXX',
  discord: '/api/webhooks/1/token',
  matrix: '',
  'home-assistant': '/api/webhook/backroute-1',
  json: '/',
};

const awkward: Notice = notice('a/b "c"', {
  subject: 'fast -> backup: "quoted" & <b>\\ü @everyone',
  text: ['A "paragraph" with \\ and\ta tab.', '€'.repeat(5000)],
  severity: 'error',
});

test('every recipe has a service here that checks it, and is free of problems', () => {
  assert.deepEqual(Object.keys(services).sort(), Object.keys(RECIPES).sort());
  for (const recipe of Object.keys(RECIPES)) assert.deepEqual(webhookProblems(webhookConfig('http://x', { recipe })), []);
});

for (const [recipe, service] of Object.entries(services)) {
  test(`${recipe}: the service takes calm and awkward notices`, async (t) => {
    t.after(() => {
      delete process.env.BACKROUTE_TEST_TOKEN;
    });
    process.env.BACKROUTE_TEST_TOKEN = 'syt_token';
    const failures: unknown[] = [];
    const server = await httpServer(t, (asked: Asked, response: ServerResponse) => {
      try {
        const { status, text } = service(asked);
        response.writeHead(status).end(text);
      } catch (error) {
        failures.push(error);
        response.writeHead(500).end();
      }
    });
    const matrix: Partial<WebhookConfig> =
      recipe === 'matrix' ? { room: '!room:example.net', token: { kind: 'environment', name: 'BACKROUTE_TEST_TOKEN' } } : {};
    const config = webhookConfig(`${server.base}${places[recipe]}`, { recipe, ...matrix });
    const bare = notice('bare', {
      uplink: null,
      family: null,
      from: null,
      to: null,
      reason: null,
      active: [],
      figures: [],
      text: [],
    });
    for (const one of [notice('calm'), awkward, bare]) {
      const verdict = await sendWebhook(config, one, attempt(), webhookOptions);
      assert.deepEqual(failures, []);
      assert.equal(verdict.kind, 'delivered', verdict.text);
    }
  });
}

test('matrix: the same message sent twice is the same transaction', async (t) => {
  process.env.BACKROUTE_TEST_TOKEN = 'syt_token';
  t.after(() => {
    delete process.env.BACKROUTE_TEST_TOKEN;
  });
  const shown = new Set<string>();
  let lost = true;
  const server = await httpServer(t, (asked, response) => {
    shown.add(asked.path);
    // The first answer gets lost.
    if (lost) response.destroy();
    else response.end('{"event_id": "$1"}');
    lost = false;
  });
  const token = { kind: 'environment', name: 'BACKROUTE_TEST_TOKEN' } as const;
  const config = webhookConfig(`${server.base}/`, { recipe: 'matrix', room: '!r:x', token });
  assert.equal((await sendWebhook(config, notice('n1'), attempt(), webhookOptions)).kind, 'retry');
  assert.equal((await sendWebhook(config, notice('n1'), attempt(), webhookOptions)).kind, 'delivered');
  assert.deepEqual([...shown], ['/_matrix/client/v3/rooms/!r%3Ax/send/m.room.message/n1']);
});
