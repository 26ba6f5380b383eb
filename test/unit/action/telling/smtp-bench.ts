/** Real SMTP servers on loopback: a well-behaved one with TLS and login, and raw ones that misbehave line by line. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { SMTP_LIMITS, type SmtpOptions } from '../../../../src/action/telling/smtp.js';
import type { Attempt } from '../../../../src/action/verdict.js';
import type { MailConfig } from '../../../../src/core/services.js';
import { issueCertificate } from '../../../support/certificates.js';

const DAY_MS = 24 * 3_600_000;
const span = { from: new Date(Date.now() - DAY_MS), to: new Date(Date.now() + DAY_MS) };
const authority = { name: 'Test CA', ...issueCertificate({ name: 'Test CA', issuer: null, ca: true, ...span }) };
const issued = issueCertificate({ name: 'localhost', issuer: authority, hosts: ['localhost'], ...span });

export const smtpOptions: SmtpOptions = { host: 'gw.example.net', limits: SMTP_LIMITS, ca: [authority.certificate] };

export interface Received {
  readonly from: string;
  readonly to: readonly string[];
  readonly raw: string;
  readonly secure: boolean;
  readonly user: string | null;
}

export interface MailServer {
  readonly port: number;
  readonly received: Received[];
}

/** Takes what `accept` does not throw at; an error's `responseCode` and message are its answer. */
export async function mailServer(
  t: TestContext,
  options: SMTPServerOptions = {},
  accept: (mail: Received) => void = () => undefined,
): Promise<MailServer> {
  const received: Received[] = [];
  const server = new SMTPServer({
    cert: issued.certificate,
    key: issued.key,
    disableReverseLookup: true,
    authOptional: true,
    closeTimeout: 100,
    ...options,
    onData(stream, session, callback) {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        const { mailFrom, rcptTo } = session.envelope;
        const mail: Received = {
          from: mailFrom === false ? '' : mailFrom.address,
          to: rcptTo.map(({ address }) => address),
          raw: Buffer.concat(chunks).toString('utf8'),
          secure: session.secure,
          user: typeof session.user === 'string' ? session.user : null,
        };
        try {
          accept(mail);
        } catch (error) {
          callback(error as Error);
          return;
        }
        received.push(mail);
        callback(null, 'queued as 4711');
      });
    },
  });
  // A client that breaks off is no matter of the test.
  server.on('error', () => undefined);
  const listening = server.listen(0, '127.0.0.1');
  await once(listening, 'listening');
  t.after(() => new Promise<void>((resolve) => server.close(() => resolve())));
  return { port: (listening.address() as AddressInfo).port, received };
}

export function smtpError(code: number, text: string): Error {
  return Object.assign(new Error(text), { responseCode: code });
}

/** A server that speaks as `answer` says: a line for a line, null for silence, `cut` to break off. */
export async function rawServer(
  t: TestContext,
  answer: (line: string, connection: number) => string | null | 'cut',
): Promise<{ readonly port: number; readonly lines: string[]; readonly connections: () => number }> {
  const lines: string[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  const server: Server = createServer((socket) => {
    connections += 1;
    const mine = connections;
    sockets.add(socket);
    socket.on('error', () => undefined);
    const say = (line: string): void => {
      // What had arrived before the cut is not heard any more.
      if (socket.destroyed) return;
      const reply = answer(line, mine);
      if (reply === 'cut') socket.destroy();
      else if (reply !== null) socket.write(`${reply}\r\n`);
    };
    say('(connected)');
    createInterface({ input: socket }).on('line', (line) => {
      if (!socket.destroyed) lines.push(line);
      say(line);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, lines, connections: () => connections };
}

/** What an obliging server without extensions answers; only the mail's own lines are not answered. */
export function obliging(line: string): string | null {
  if (line === '(connected)') return '220 raw.example.net ready';
  if (/^(EHLO|HELO|MAIL|RCPT|RSET)/.test(line)) return '250 ok';
  if (line === 'DATA') return '354 go on';
  if (line === '.') return '250 taken';
  return null;
}

export function mailConfig(port: number, smtp: Partial<NonNullable<MailConfig['smtp']>> = {}): MailConfig {
  return {
    kind: 'mail',
    from: 'Backroute <gw@example.net>',
    to: ['admin@example.net'],
    smtp: { host: 'localhost', port, tls: 'none', login: null, ...smtp },
    sendmail: '/usr/sbin/sendmail',
  };
}

export function attempt(change: Partial<Attempt> = {}): Attempt {
  return { served: [], hurry: new AbortController().signal, stop: new AbortController().signal, ...change };
}

/** The value of a header, unfolded; null = it is not there. */
export function header(raw: string, name: string): string | null {
  const head = (raw.split('\r\n\r\n')[0] ?? '').replace(/\r\n[ \t]+/g, ' ');
  const line = head.split('\r\n').find((one) => one.toLowerCase().startsWith(`${name.toLowerCase()}:`));
  return line === undefined ? null : line.slice(name.length + 1).trim();
}

/** The text as written: quoted-printable undone (RFC 2045 6.7). */
export function bodyOf(raw: string): string {
  const body = raw.split('\r\n\r\n').slice(1).join('\r\n\r\n').replaceAll('=\r\n', '');
  return body.replace(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
