/**
 * TCP connect: whether something accepts, and after how long. Sends no byte.
 */
import type { PathKey } from '../core/model.js';
import type { ProbeAsk } from '../core/probe.js';
import { connectMarked, MarkedConnection } from './connection.js';
import { Flights } from './flights.js';
import type { ProbeHost, ProbeKind } from './host.js';

export class TcpProbes implements ProbeKind {
  readonly #host: ProbeHost;
  readonly #flights: Flights;

  constructor(host: ProbeHost) {
    this.#host = host;
    this.#flights = new Flights(host);
  }

  ask(ask: ProbeAsk): void {
    if (ask.question.kind !== 'tcp') return;
    const flight = this.#flights.start(ask);
    const connection = connectMarked(this.#host.sockets, ask, ask.question.port);
    if (!(connection instanceof MarkedConnection)) {
      flight.end();
      this.#host.failLater(ask, connection);
      return;
    }
    flight.onEnd(() => connection.end());
    connection.socket.on('connect', () => {
      this.#host.countRead();
      flight.answered(null);
    });
    connection.socket.on('error', (error) => {
      this.#host.countRead();
      flight.failed(connection.connectFailure(error));
    });
  }

  forget(path: PathKey): void {
    this.#flights.forget(path);
  }

  close(): void {
    this.#flights.close();
  }
}
