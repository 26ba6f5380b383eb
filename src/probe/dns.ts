/**
 * One DNS query over UDP to one resolver. A fresh socket each, so that the kernel draws a fresh random source port: with
 * identifier and letter case that is what a forger must guess. Must not know what a resolver's failure means for an uplink.
 */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:dgram';
import { domainToASCII } from 'node:url';
import type { PathKey } from '../core/model.js';
import type { ProbeAsk } from '../core/probe.js';
import { canonicalAddress } from './address.js';
import { type Datagram, openDatagram } from './datagram.js';
import { buildDnsQuery, isDnsName, parseDnsResponse } from './dns-packet.js';
import { codeOf, openFailure, queuedFailure, sendFailure } from './errors.js';
import { type Flight, Flights } from './flights.js';
import type { ProbeHost, ProbeKind } from './host.js';
import type { SocketSpec } from './sockets.js';

/** One bit for each letter of the longest name. */
const CASE_BYTES = 32;

export class DnsProbes implements ProbeKind {
  readonly #host: ProbeHost;
  readonly #flights: Flights;

  constructor(host: ProbeHost) {
    this.#host = host;
    this.#flights = new Flights(host);
  }

  ask(ask: ProbeAsk): void {
    const { question, path } = ask;
    if (question.kind !== 'dns') return;
    const server = canonicalAddress(ask.address, path.family, path.interface);
    if (server === null) {
      this.#host.failLater(ask, { reason: 'local-fault', detail: `${ask.address} is no IPv${path.family} address` });
      return;
    }
    const name = isDnsName(question.name) ? question.name : domainToASCII(question.name);
    if (name === '' || !isDnsName(name)) {
      this.#host.failLater(ask, { reason: 'local-fault', detail: `${question.name} is no name to ask for` });
      return;
    }
    const random = randomBytes(2 + CASE_BYTES);
    const query = buildDnsQuery(random.readUInt16BE(0), name, question.type, random.subarray(2));
    const flight = this.#flights.start(ask);
    const spec: SocketSpec = { family: path.family, kind: 'udp', mark: path.mark, device: path.device };
    let datagram: Datagram;
    try {
      datagram = openDatagram(this.#host.sockets, spec, (socket) => {
        this.#listen(flight, socket, query, server, question.port);
        socket.on('error', (error) => this.#onError(flight, datagram, query, codeOf(error)));
      });
    } catch (error) {
      flight.end();
      this.#host.failLater(ask, openFailure(codeOf(error), spec));
      return;
    }
    flight.onEnd(() => datagram.socket.close());
    datagram.socket.send(query, question.port, server, (error) => {
      if (error !== null && error !== undefined) flight.failed(sendFailure(codeOf(error)));
    });
  }

  forget(path: PathKey): void {
    this.#flights.forget(path);
  }

  close(): void {
    this.#flights.close();
  }

  #listen(flight: Flight, socket: Socket, query: Uint8Array, server: string, port: number): void {
    socket.on('message', (message, from) => {
      this.#host.countRead();
      if (flight.settled) return;
      if (from.address !== server || from.port !== port) {
        flight.hint = `no answer from the resolver; one came from ${from.address} port ${from.port}`;
        return;
      }
      const response = parseDnsResponse(message, query);
      if (response.kind === 'foreign') flight.hint = `no answer that fits; one came, but ${response.why}`;
      else if (response.kind === 'malformed') flight.failed({ reason: 'bad-answer', detail: `malformed: ${response.why}` });
      else if (response.rcode === 'NOERROR') flight.answered(null);
      // The resolver knows that the name does not exist: it works, and so does the way to it.
      else if (response.rcode === 'NXDOMAIN') flight.answered('NXDOMAIN: the name does not exist');
      else flight.failed({ reason: 'bad-answer', detail: response.rcode });
    });
  }

  /** Empties the error queue, or the loop spins on it until the probe ends. */
  #onError(flight: Flight, datagram: Datagram, query: Uint8Array, code: string): void {
    this.#host.countRead();
    if (flight.settled) return;
    const entries = this.#host.sockets.drainErrors(datagram.fd);
    for (const entry of entries) {
      const ours = entry.quoted.every((byte, at) => at >= query.length || byte === query[at]);
      const failure = ours ? queuedFailure(entry, flight.ask.path.family) : null;
      if (failure !== null) flight.failed(failure);
    }
    if (entries.length === 0) flight.failed(sendFailure(code));
  }
}
