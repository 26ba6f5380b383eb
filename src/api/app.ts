/**
 * The control API as a function Request -> Response: status, events, commands. Served on the control socket by server.ts,
 * tested without one. Must not know the engine, files or sockets: everything comes through {@link ApiBackend}.
 */
import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import type { Command } from '../core/messages.js';
import type { ApiBackend, EventQuery } from './backend.js';
import { type FollowFormat, followStream } from './follow.js';

const VERBS = ['force', 'disable', 'enable', 'auto', 'drill', 'forget'] as const;
/** So long a drill may be: shorter tells nothing, longer is no drill. */
const DRILL_MS = { min: 1_000, max: 3_600_000 };
const MAX_BODY_BYTES = 16 * 1024;
const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 1_000;

/** A client's mistake: becomes `{error, hint}`. */
class RequestError extends Error {
  constructor(
    readonly status: ContentfulStatusCode,
    message: string,
    readonly hint: string | null,
  ) {
    super(message);
  }
}

/** @example `await createApi(backend).request('/status')` */
export function createApi(backend: ApiBackend): Hono {
  const app = new Hono();

  app.onError((error, c) => {
    if (error instanceof RequestError) return c.json({ error: error.message, hint: error.hint }, error.status);
    return c.json({ error: `internal error: ${error.message}`, hint: 'the log of the daemon tells more' }, 500);
  });
  app.notFound((c) =>
    c.json(
      {
        error: `there is no ${c.req.method} ${c.req.path}`,
        hint: 'GET /status, /events, /events/follow, /health; POST /command, /reload',
      },
      404,
    ),
  );
  app.use(
    bodyLimit({
      maxSize: MAX_BODY_BYTES,
      onError: (c) => c.json({ error: 'the request is too large', hint: `at most ${MAX_BODY_BYTES} bytes` }, 413),
    }),
  );

  app.get('/status', (c) => c.json(backend.view()));

  app.get('/health', (c) => {
    const health = backend.health();
    return c.json(health, health.ok ? 200 : 503);
  });

  app.get('/events', async (c) => {
    const query = eventQuery(c.req.query('limit'), c.req.query('since'), DEFAULT_LIMIT);
    await backend.eventsReady();
    return c.json({ events: backend.events(query) });
  });

  app.get('/events/follow', async (c) => {
    const query = eventQuery(c.req.query('limit'), c.req.query('since'), 0);
    await backend.eventsReady();
    const format: FollowFormat = c.req.header('accept')?.includes('text/event-stream') === true ? 'sse' : 'ndjson';
    // The past and the subscription are taken in one turn: nothing falls between them.
    const body = followStream(backend.events(query), (listener) => backend.follow(listener), format);
    return c.body(body, 200, {
      'content-type': format === 'sse' ? 'text/event-stream; charset=utf-8' : 'application/x-ndjson; charset=utf-8',
      'cache-control': 'no-store',
    });
  });

  app.post('/command', async (c) => {
    const command = parseCommand(
      await jsonBody(c.req.raw),
      backend.view().uplinks.map((uplink) => uplink.name),
    );
    const answer = await backend.command(command);
    return c.json(answer, answer.ok ? 200 : 409);
  });

  app.post('/reload', async (c) => {
    const answer = await backend.reload();
    return c.json(answer, answer.ok ? 200 : 422);
  });

  return app;
}

function eventQuery(limit: string | undefined, since: string | undefined, defaultLimit: number): EventQuery {
  return {
    limit: limit === undefined ? defaultLimit : wholeNumber('limit', limit, MAX_LIMIT),
    sinceWallMs: since === undefined ? null : wholeNumber('since', since, Number.MAX_SAFE_INTEGER),
  };
}

function wholeNumber(name: string, text: string, max: number): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(value) || value > max) {
    throw new RequestError(
      400,
      `${name}: '${text.slice(0, 40)}' is not a whole number from 0 to ${max}`,
      `for example ?${name}=50`,
    );
  }
  return value;
}

async function jsonBody(request: Request): Promise<unknown> {
  try {
    return await request.json();
  } catch {
    throw new RequestError(400, 'the body is not JSON', 'for example {"verb": "force", "uplink": "backup"}');
  }
}

function parseCommand(body: unknown, uplinks: readonly string[]): Command {
  const given = typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {};
  const known = VERBS.find((word) => word === given.verb);
  if (known === undefined) throw new RequestError(400, `verb: ${shown(given.verb)} is not known`, `allowed: ${VERBS.join(', ')}`);
  const keys = known === 'drill' ? ['verb', 'uplink', 'traffic', 'forMs'] : ['verb', 'uplink'];
  const extra = Object.keys(given).find((key) => !keys.includes(key));
  if (extra !== undefined) throw new RequestError(400, `${extra.slice(0, 40)}: not known here`, `allowed: ${keys.join(', ')}`);
  const uplink = given.uplink ?? null;
  if (known === 'auto') {
    if (uplink !== null) throw new RequestError(400, 'auto takes no uplink', null);
    return { verb: 'auto' };
  }
  if (known === 'forget' && uplink === null) return { verb: 'forget', uplink };
  if (known === 'drill' && uplink === null) return { verb: 'drill', uplink, ...drillOrder(given) };
  if (typeof uplink !== 'string')
    throw new RequestError(400, `${known} needs the name of an uplink`, `there are: ${uplinks.join(', ')}`);
  if (!uplinks.includes(uplink)) {
    throw new RequestError(404, `there is no uplink ${shown(uplink)}`, `there are: ${uplinks.join(', ')}`);
  }
  return known === 'drill' ? { verb: 'drill', uplink, ...drillOrder(given) } : { verb: known, uplink };
}

/** What is left out is as configured. */
function drillOrder(given: Readonly<Record<string, unknown>>): Pick<Extract<Command, { verb: 'drill' }>, 'traffic' | 'forMs'> {
  const traffic = given.traffic ?? null;
  if (traffic !== null && traffic !== 'some' && traffic !== 'all')
    throw new RequestError(400, `traffic: ${shown(traffic)} is not known`, 'allowed: some, all');
  const forMs = given.forMs ?? null;
  if (forMs === null) return { traffic, forMs };
  if (typeof forMs !== 'number' || !Number.isInteger(forMs) || forMs < DRILL_MS.min || forMs > DRILL_MS.max)
    throw new RequestError(
      400,
      `forMs: ${typeof forMs === 'number' ? forMs : shown(forMs)} is no time for a drill`,
      `milliseconds from ${DRILL_MS.min} (1 s) to ${DRILL_MS.max} (1 h)`,
    );
  return { traffic, forMs };
}

function shown(value: unknown): string {
  return typeof value === 'string' ? `'${value.slice(0, 64)}'` : 'what was given';
}
