/**
 * Sends one notice as one HTTP request, with time limits on connecting and on the whole, and reads a bounded answer. Follows no
 * redirect: it would carry the secret to whoever sits there. Lets no secret out. RFC 9110.
 */
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { Notice } from '../../core/action.js';
import type { WebhookConfig } from '../../core/services.js';
import type { Attempt, Verdict } from '../verdict.js';
import { worked } from './recipes.js';
import { answerText, readSecret, redact, SecretError } from './secret.js';
import { renderBody, renderHeader, renderUrl } from './template.js';

export interface WebhookLimits {
  readonly connectMs: number;
  readonly wholeMs: number;
}

export const WEBHOOK_LIMITS: WebhookLimits = { connectMs: 15_000, wholeMs: 45_000 };

export interface WebhookOptions {
  /** what this machine is called in messages */
  readonly host: string;
  readonly limits: WebhookLimits;
  /** certificate authorities instead of those of Node; PEM */
  readonly ca?: readonly string[];
}

interface Request {
  readonly url: URL;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

interface Answer {
  readonly status: number;
  readonly reason: string;
  readonly retryAfter: string | undefined;
  readonly location: string | undefined;
  readonly text: string;
}

/** More of an answer is not read; what it says fits in a line. */
const MAX_ANSWER_BYTES = 4096;

export async function sendWebhook(
  config: WebhookConfig,
  notice: Notice,
  attempt: Attempt,
  options: WebhookOptions,
): Promise<Verdict> {
  const secrets: string[] = [];
  const verdict = await tryWebhook(config, notice, attempt, options, secrets);
  return { ...verdict, text: answerText(redact(verdict.text, secrets)) };
}

/** @param secrets is filled with what must not be told */
async function tryWebhook(
  config: WebhookConfig,
  notice: Notice,
  attempt: Attempt,
  options: WebhookOptions,
  secrets: string[],
): Promise<Verdict> {
  let request: Request;
  try {
    request = await prepare(config, notice, options.host, secrets);
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return error instanceof SecretError ? { kind: 'credentials', text } : { kind: 'refused', text };
  }
  try {
    return verdictOf(request.url.host, await exchange(request, attempt, options));
  } catch (error) {
    return { kind: 'retry', text: `${request.url.host}: ${error instanceof Error ? error.message : String(error)}` };
  }
}

async function prepare(config: WebhookConfig, notice: Notice, host: string, secrets: string[]): Promise<Request> {
  const recipe = worked(config);
  if (recipe === null) throw new Error(`unknown recipe ${config.recipe}`);
  const { method, contentType, template, path } = recipe;
  const base = typeof config.url === 'string' ? config.url : await readSecret(config.url);
  // Even where it stands openly in the configuration: whoever knows Slack's or ntfy's address may write there.
  secrets.push(base, ...partsOf(base));
  const url = parsed(renderUrl(path === '' ? base : base.replace(/\/+$/, '') + path, notice, host));
  const headers: Record<string, string> = { 'Content-Type': contentType, 'User-Agent': 'backroute' };
  for (const [name, value] of Object.entries({ ...recipe.headers, ...config.headers })) {
    if (typeof value === 'string') headers[name] = renderHeader(value, notice, host);
    else {
      headers[name] = await readSecret(value);
      secrets.push(headers[name]);
    }
  }
  if (config.token !== null) {
    const token = await readSecret(config.token);
    secrets.push(token);
    headers.Authorization = `Bearer ${token}`;
  }
  const body = Buffer.from(renderBody(template, contentType, notice, host));
  headers['Content-Length'] = String(body.length);
  return { url, method, headers, body };
}

/** A secret address may come back in pieces: as a path, or as its last words. */
function partsOf(url: string): string[] {
  if (!URL.canParse(url)) return [];
  const { pathname, search, username, password } = new URL(url);
  return [`${pathname}${search}`, username, password, ...pathname.split('/')].filter((part) => part.length >= 8);
}

function parsed(text: string): URL {
  if (!URL.canParse(text)) throw new Error('what is given as url is no URL');
  const url = new URL(text);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw new Error('url is neither http nor https');
  return url;
}

function exchange(request: Request, attempt: Attempt, options: WebhookOptions): Promise<Answer> {
  const { url, method, headers, body } = request;
  const { limits, ca } = options;
  return new Promise((resolve, reject) => {
    if (attempt.stop.aborted || attempt.hurry.aborted) {
      reject(new Error('not begun'));
      return;
    }
    // One connection a message: a kept one would belong to the way out of then.
    const secure = url.protocol === 'https:';
    const outgoing = secure
      ? httpsRequest(url, { method, headers, agent: new HttpsAgent(), ...(ca === undefined ? {} : { ca: [...ca] }) })
      : httpRequest(url, { method, headers, agent: new HttpAgent() });
    let connected = false;
    const end = (why: string): void => {
      outgoing.destroy(new Error(why));
    };
    const connectLimit = setTimeout(() => end(`no connection after ${limits.connectMs / 1000} s`), limits.connectMs);
    const wholeLimit = setTimeout(() => end(`no answer after ${limits.wholeMs / 1000} s`), limits.wholeMs);
    const onHurry = (): void => {
      if (!connected) end('given up because the way out has changed');
    };
    const onStop = (): void => end('cut off');
    attempt.hurry.addEventListener('abort', onHurry);
    attempt.stop.addEventListener('abort', onStop);
    const settle = (act: () => void): void => {
      clearTimeout(connectLimit);
      clearTimeout(wholeLimit);
      attempt.hurry.removeEventListener('abort', onHurry);
      attempt.stop.removeEventListener('abort', onStop);
      act();
      outgoing.destroy();
    };
    outgoing.on('error', (error) => settle(() => reject(error)));
    outgoing.on('response', (response) => {
      readAnswer(response).then(
        (answer) => settle(() => resolve(answer)),
        (error: Error) => settle(() => reject(error)),
      );
    });
    outgoing.on('socket', (socket) => {
      socket.once(secure ? 'secureConnect' : 'connect', () => {
        connected = true;
        clearTimeout(connectLimit);
        // Only now: what is handed over earlier is sent the moment the connection stands, hurried or not.
        outgoing.end(body);
      });
    });
    outgoing.flushHeaders();
  });
}

/** The status counts even if the answer's text breaks off: the server has decided. */
function readAnswer(response: IncomingMessage): Promise<Answer> {
  return new Promise((resolve) => {
    let text = Buffer.alloc(0);
    const done = (): void => {
      resolve({
        status: response.statusCode ?? 0,
        reason: response.statusMessage ?? '',
        retryAfter: response.headers['retry-after'],
        location: response.headers.location,
        text: text.toString('utf8'),
      });
    };
    response.on('data', (chunk: Buffer) => {
      text = Buffer.concat([text, chunk]).subarray(0, MAX_ANSWER_BYTES);
      if (text.length >= MAX_ANSWER_BYTES) done();
    });
    response.on('end', done);
    response.on('error', done);
    response.on('close', done);
  });
}

function verdictOf(host: string, answer: Answer): Verdict {
  const { status, reason, location } = answer;
  const words = [`${status}`, reason, answer.text.trim()].filter((part) => part !== '').join(' ');
  const text = `${host}: ${words}`;
  if (status >= 200 && status < 300) return { kind: 'delivered', text };
  // It may be a captive portal, which will be gone one day.
  if (status >= 300 && status < 400)
    return { kind: 'retry', text: `${text} redirects to ${location ?? 'nowhere'}, which is not followed` };
  if (status === 401 || status === 403 || status === 407) return { kind: 'credentials', text };
  if (status >= 400 && status < 500 && ![408, 425, 429].includes(status)) return { kind: 'refused', text };
  const afterMs = retryAfterMs(answer.retryAfter);
  return { kind: 'retry', text, ...(afterMs === null ? {} : { afterMs }) };
}

/** Seconds or a date (RFC 9110 10.2.3). */
function retryAfterMs(value: string | undefined): number | null {
  if (value === undefined) return null;
  const ms = /^\d+(\.\d+)?$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : null;
}
