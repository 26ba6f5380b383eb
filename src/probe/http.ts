/**
 * One GET over a marked connection to a given address: no DNS, no proxy, no redirect followed, nothing kept alive.
 * Must not know uplinks or verdicts beyond the response. node:http, node:tls are loaded by the first such probe.
 */
import type { ClientRequest, IncomingMessage } from 'node:http';
import { isIP, type Socket } from 'node:net';
import type { SecureContext, TLSSocket } from 'node:tls';
import type { TargetQuestion } from '../core/config.js';
import type { PathKey } from '../core/model.js';
import type { ProbeAsk } from '../core/probe.js';
import { judgeCertificate } from './certificate.js';
import { connectMarked, MarkedConnection } from './connection.js';
import { codeOf } from './errors.js';
import { type Flight, Flights } from './flights.js';
import type { ProbeHost, ProbeKind } from './host.js';
import { judgeStatus } from './http-verdict.js';

/** The text looked for must stand within so many bytes of the body. */
const MAX_BODY_BYTES = 64 * 1024;

type HttpQuestion = Extract<TargetQuestion, { kind: 'http' }>;

export class HttpProbes implements ProbeKind {
  readonly #host: ProbeHost;
  readonly #flights: Flights;
  /** PEM; null = those that Node ships */
  readonly #ca: readonly string[] | null;
  #context: SecureContext | null = null;

  constructor(host: ProbeHost, ca: readonly string[] | null) {
    this.#host = host;
    this.#ca = ca;
    this.#flights = new Flights(host);
  }

  ask(ask: ProbeAsk): void {
    const question = ask.question;
    if (question.kind !== 'http') return;
    if (!URL.canParse(question.url)) {
      this.#host.failLater(ask, { reason: 'local-fault', detail: `${question.url} is no URL` });
      return;
    }
    const url = new URL(question.url);
    const flight = this.#flights.start(ask);
    const connection = connectMarked(this.#host.sockets, ask, question.port);
    if (!(connection instanceof MarkedConnection)) {
      flight.end();
      this.#host.failLater(ask, connection);
      return;
    }
    flight.onEnd(() => connection.end());
    const { socket } = connection;
    let connected = false;
    socket.on('error', (error) => {
      this.#host.countRead();
      if (!connected) flight.failed(connection.connectFailure(error));
      else flight.failed({ reason: 'bad-answer', detail: `connection lost: ${codeOf(error)}` });
    });
    socket.on('connect', () => {
      connected = true;
      this.#host.countRead();
      if (flight.settled) return;
      if (url.protocol === 'https:') this.#secure(flight, question, url, connection);
      else this.#request(flight, question, url, socket, null);
    });
  }

  forget(path: PathKey): void {
    this.#flights.forget(path);
  }

  close(): void {
    this.#flights.close();
  }

  #secure(flight: Flight, question: HttpQuestion, url: URL, connection: MarkedConnection): void {
    const tls = process.getBuiltinModule('node:tls');
    this.#context ??= tls.createSecureContext(this.#ca === null ? {} : { ca: [...this.#ca] });
    const hostname = url.hostname.replace(/^\[|\]$/g, '');
    const secured: TLSSocket = tls.connect({
      socket: connection.socket,
      secureContext: this.#context,
      host: hostname,
      // RFC 6066 section 3: no addresses in SNI
      ...(isIP(hostname) === 0 ? { servername: hostname } : {}),
      ALPNProtocols: ['http/1.1'],
      // judgeCertificate does it, for it must tell time from the rest
      rejectUnauthorized: false,
    });
    connection.wrapped = true;
    flight.onEnd(() => {
      secured.destroy();
      connection.end();
    });
    let shaken = false;
    secured.on('error', (error) => {
      this.#host.countRead();
      if (shaken) flight.failed({ reason: 'bad-answer', detail: `connection lost: ${codeOf(error)}` });
      else flight.failed({ reason: 'tls', detail: `TLS handshake failed: ${codeOf(error)}` });
    });
    secured.on('secureConnect', () => {
      shaken = true;
      this.#host.countRead();
      if (flight.settled) return;
      const verdict = judgeCertificate(secured, hostname, this.#ca ?? tls.rootCertificates);
      if (verdict.ok) this.#request(flight, question, url, secured, verdict.note);
      else flight.failed({ reason: 'tls', detail: verdict.detail });
    });
  }

  #request(flight: Flight, question: HttpQuestion, url: URL, stream: Socket, note: string | null): void {
    const http = process.getBuiltinModule('node:http');
    let request: ClientRequest;
    try {
      request = http.request({
        createConnection: () => stream,
        method: 'GET',
        path: `${url.pathname}${url.search}`,
        setHost: false,
        headers: {
          host: url.host,
          'user-agent': 'backroute',
          accept: '*/*',
          'accept-encoding': 'identity',
          connection: 'close',
          ...(url.username === '' ? {} : { authorization: basicAuthorization(url) }),
        },
      });
    } catch (error) {
      flight.failed({ reason: 'local-fault', detail: `no request can be made of ${url.href}: ${codeOf(error)}` });
      return;
    }
    request.on('error', (error) => {
      this.#host.countRead();
      flight.failed({ reason: 'bad-answer', detail: `no HTTP response: ${codeOf(error)}` });
    });
    request.on('upgrade', () => flight.failed({ reason: 'bad-answer', detail: 'the server wants another protocol' }));
    request.on('response', (response) => {
      this.#host.countRead();
      if (!flight.settled) this.#judge(flight, question, url, response, note);
    });
    request.end();
  }

  #judge(flight: Flight, question: HttpQuestion, url: URL, response: IncomingMessage, note: string | null): void {
    // Destroying the connection in the middle of a body makes an error here too.
    response.on('error', (error) => flight.failed({ reason: 'bad-answer', detail: `response broken off: ${codeOf(error)}` }));
    const failure = judgeStatus(response.statusCode ?? 0, response.headers.location, url, question.statuses);
    if (failure !== null) flight.failed(failure);
    else if (question.bodyContains === null) flight.answered(note);
    else this.#searchBody(flight, Buffer.from(question.bodyContains), response, note);
  }

  #searchBody(flight: Flight, wanted: Buffer, response: IncomingMessage, note: string | null): void {
    let body: Buffer = Buffer.alloc(0);
    const notFound = () => flight.failed({ reason: 'bad-body', detail: `the first ${body.length} bytes lack the expected text` });
    response.on('data', (chunk: Buffer) => {
      if (flight.settled) return;
      this.#host.countRead();
      body = Buffer.concat([body, chunk]).subarray(0, MAX_BODY_BYTES);
      if (body.includes(wanted)) flight.answered(note);
      else if (body.length >= MAX_BODY_BYTES) notFound();
    });
    response.on('end', notFound);
  }
}

function basicAuthorization(url: URL): string {
  const plain = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  return `Basic ${Buffer.from(plain).toString('base64')}`;
}
