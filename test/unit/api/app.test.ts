import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createApi } from '../../../src/api/app.js';
import type { Answer, ApiBackend } from '../../../src/api/backend.js';
import type { HistoryEntry } from '../../../src/core/entry.js';
import type { Command } from '../../../src/core/messages.js';
import { calmView, entry } from '../../support/status-views.js';

function api(change: Partial<ApiBackend> = {}): { request: ReturnType<typeof createApi>['request']; commands: Command[] } {
  const commands: Command[] = [];
  const backend: ApiBackend = {
    view: calmView,
    health: () => ({ ok: true, version: '1.2.3', pid: 1, uptimeMs: 5, problems: [] }),
    eventsReady: () => Promise.resolve(),
    events: ({ limit, sinceWallMs }) =>
      [1, 2, 3]
        .map(entry)
        .filter((e) => e.wallMs > (sinceWallMs ?? 0))
        .slice(-limit),
    follow: () => () => undefined,
    command: async (command): Promise<Answer> => {
      commands.push(command);
      return { ok: true, text: 'IPv4 leaves by backup', details: ['forced'] };
    },
    reload: () => Promise.resolve({ ok: true, text: 'in force', details: [] }),
    ...change,
  };
  const app = createApi(backend);
  return { request: app.request.bind(app), commands };
}

const post = (body: unknown): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: typeof body === 'string' ? body : JSON.stringify(body),
});

test('status is the one view', async () => {
  const response = await api().request('/status');
  assert.equal(response.status, 200);
  assert.deepEqual(await response.json(), calmView());
});

test('events by limit and time', async () => {
  const { request } = api();
  const times = async (path: string): Promise<number[]> =>
    ((await (await request(path)).json()) as { events: HistoryEntry[] }).events.map(({ wallMs }) => wallMs);
  assert.deepEqual(await times('/events'), [1, 2, 3]);
  assert.deepEqual(await times('/events?limit=1'), [3]);
  assert.deepEqual(await times('/events?since=1'), [2, 3]);
});

test('a number that is none is told, with a hint', async () => {
  for (const query of ['limit=-1', 'limit=x', 'limit=1e3', 'limit=2000', 'since=1.5', 'limit=']) {
    const response = await api().request(`/events?${query}`);
    assert.equal(response.status, 400, query);
    const body = (await response.json()) as { error: string; hint: string };
    assert.match(body.error, /is not a whole number from 0 to/);
    assert.equal(typeof body.hint, 'string');
  }
});

test('a command is handed on, and its answer says what was decided', async () => {
  const { request, commands } = api();
  const response = await request('/command', post({ verb: 'force', uplink: 'backup' }));
  assert.equal(response.status, 200);
  assert.deepEqual(await response.json(), { ok: true, text: 'IPv4 leaves by backup', details: ['forced'] });
  await request('/command', post({ verb: 'auto' }));
  await request('/command', post({ verb: 'forget' }));
  await request('/command', post({ verb: 'forget', uplink: 'fast' }));
  assert.deepEqual(commands, [
    { verb: 'force', uplink: 'backup' },
    { verb: 'auto' },
    { verb: 'forget', uplink: null },
    { verb: 'forget', uplink: 'fast' },
  ]);
});

test('a drill is handed on with what was left out as null', async () => {
  const { request, commands } = api();
  await request('/command', post({ verb: 'drill' }));
  await request('/command', post({ verb: 'drill', uplink: null, traffic: null, forMs: null }));
  await request('/command', post({ verb: 'drill', uplink: 'backup', traffic: 'all', forMs: 30_000 }));
  const asConfigured = { verb: 'drill', uplink: null, traffic: null, forMs: null };
  assert.deepEqual(commands, [asConfigured, asConfigured, { verb: 'drill', uplink: 'backup', traffic: 'all', forMs: 30_000 }]);
});

test('a wrong command reaches nobody and says what is right', async () => {
  const cases: [unknown, number, RegExp][] = [
    ['{', 400, /not JSON/],
    ['null', 400, /verb/],
    [{ verb: 'fly', uplink: 'fast' }, 400, /'fly' is not known/],
    [{ verb: 'forget', uplink: 'fats' }, 404, /no uplink 'fats'/],
    [{ verb: 'force' }, 400, /needs the name/],
    [{ verb: 'force', uplink: 7 }, 400, /needs the name/],
    [{ verb: 'force', uplink: 'fats' }, 404, /no uplink 'fats'/],
    [{ verb: 'force', uplink: '__proto__' }, 404, /no uplink/],
    [{ verb: 'auto', uplink: 'fast' }, 400, /takes no uplink/],
    [{ verb: 'disable', uplink: 'fast', now: true }, 400, /now: not known/],
    [{ verb: 'force', uplink: 'fast', forMs: 5_000 }, 400, /forMs: not known/],
    [{ verb: 'drill', uplink: 'fats' }, 404, /no uplink 'fats'/],
    [{ verb: 'drill', uplink: '' }, 404, /no uplink/],
    [{ verb: 'drill', uplink: 7 }, 400, /needs the name/],
    [{ verb: 'drill', traffic: 'most' }, 400, /traffic: 'most' is not known/],
    [{ verb: 'drill', forMs: 999 }, 400, /forMs: 999 is no time/],
    [{ verb: 'drill', forMs: 3_600_001 }, 400, /is no time/],
    [{ verb: 'drill', forMs: 1_000.5 }, 400, /is no time/],
    [{ verb: 'drill', forMs: '30s' }, 400, /forMs: '30s' is no time/],
    [{ verb: 'drill', every: '7d' }, 400, /every: not known/],
  ];
  for (const [body, status, message] of cases) {
    const { request, commands } = api();
    const response = await request('/command', post(body));
    assert.equal(response.status, status, JSON.stringify(body));
    assert.match(((await response.json()) as { error: string }).error, message);
    assert.deepEqual(commands, []);
  }
});

test('a body without end is refused', async () => {
  const response = await api().request('/command', post(`"${'x'.repeat(20_000)}"`));
  assert.equal(response.status, 413);
});

test('a reload that fails is no success', async () => {
  const { request } = api({
    reload: () => Promise.resolve({ ok: false, text: 'nothing was changed', details: ['a.yaml:3: …'] }),
  });
  assert.equal((await request('/reload', { method: 'POST' })).status, 422);
});

test('health is for machines: its status code says it', async () => {
  const ill = { ok: false, version: '1', pid: 1, uptimeMs: 1, problems: ['the loop is late'] };
  assert.equal((await api().request('/health')).status, 200);
  assert.equal((await api({ health: () => ill }).request('/health')).status, 503);
});

test('unknown places and a failing backend answer in the same shape', async () => {
  const { request } = api({
    view: () => {
      throw new Error('bug');
    },
  });
  for (const [path, status] of [
    ['/nothing', 404],
    ['/status', 500],
  ] as const) {
    const response = await request(path);
    assert.equal(response.status, status);
    assert.deepEqual(Object.keys((await response.json()) as object).toSorted(), ['error', 'hint']);
  }
});
