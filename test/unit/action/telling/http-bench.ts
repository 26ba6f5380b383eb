/** A real HTTP server on loopback that does as the test says, and keeps what it was asked. */
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import type { WebhookOptions } from '../../../../src/action/telling/webhook.js';
import type { WebhookConfig } from '../../../../src/core/services.js';

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface HttpBench {
  /** `http://127.0.0.1:PORT` */
  readonly base: string;
  readonly asked: Asked[];
}

export async function httpServer(t: TestContext, answer: (asked: Asked, response: ServerResponse) => void): Promise<HttpBench> {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      const one: Asked = { method, path: url, headers, body: Buffer.concat(chunks).toString('utf8') };
      asked.push(one);
      answer(one, response);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { base: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

export const webhookOptions: WebhookOptions = { host: 'gw.example.net', limits: { connectMs: 1000, wholeMs: 1000 } };

export function webhookConfig(url: WebhookConfig['url'], change: Partial<WebhookConfig> = {}): WebhookConfig {
  return {
    kind: 'webhook',
    recipe: 'json',
    url,
    method: null,
    headers: {},
    token: null,
    room: null,
    template: null,
    contentType: null,
    ...change,
  };
}
