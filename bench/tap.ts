/**
 * Notes when probes reach the first router behind an uplink, whoever sends them. So a failure can be placed at a chosen phase of a
 * prober's own schedule, and the rate that it really keeps is seen. Listens with a raw socket (raw(7)) in the provider's namespace.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { AF_INET, close, recv, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_RAW, socket, watchReadable } from '../src/kernel/libc.js';
import { monotonicMs } from '../src/lab/clock.js';
import type { Lab } from '../src/lab/lab.js';
import { inNamespace } from '../src/lab/libc.js';
import { namespacePath } from '../src/lab/state.js';

/** `icmp`: echo requests. `bfd`: BFD control packets, RFC 5881 and 5883. */
export type ProbeKind = 'icmp' | 'bfd';

const IPPROTO = { icmp: 1, bfd: 17 } as const;
const ECHO_REQUEST = 8;
const BFD_PORTS = [3784, 4784];

export class Tap {
  readonly #fd: number;
  readonly #watch: { close(): void };
  readonly #arrivalsMs: number[] = [];

  constructor(lab: Lab, uplink: string, kind: ProbeKind) {
    this.#fd = inNamespace(namespacePath(lab.ns(lab.uplink(uplink).isp)), () =>
      socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO[kind]),
    );
    const buffer = Buffer.alloc(2048);
    this.#watch = watchReadable(this.#fd, () => {
      const nowMs = monotonicMs();
      for (let bytes = recv(this.#fd, buffer); bytes !== null; bytes = recv(this.#fd, buffer)) {
        if (isProbe(buffer.subarray(0, bytes), kind)) this.#arrivalsMs.push(nowMs);
      }
    });
  }

  /**
   * Waits for two probes one interval apart, so that neither belongs to a burst, and resolves with the arrival of the later one.
   * A prober that keeps no such cadence: the latest arrival after six intervals. Null when it asks nothing at all.
   */
  async cadence(intervalMs: number): Promise<number | null> {
    const sinceMs = monotonicMs();
    const seen = (): number[] => this.#arrivalsMs.filter((atMs) => atMs >= sinceMs - 1.2 * intervalMs);
    while (monotonicMs() - sinceMs < 6 * intervalMs) {
      const [before, last] = seen().slice(-2);
      if (before !== undefined && last !== undefined && Math.abs(last - before - intervalMs) < 0.1 * intervalMs) return last;
      await pause(5);
    }
    return seen().at(-1) ?? null;
  }

  /** The last arrival before an instant; null = none. */
  lastBefore(atMs: number): number | null {
    return this.#arrivalsMs.findLast((arrivedMs) => arrivedMs <= atMs) ?? null;
  }

  close(): void {
    this.#watch.close();
    close(this.#fd);
  }
}

function isProbe(packet: Buffer, kind: ProbeKind): boolean {
  const headerBytes = ((packet[0] ?? 0) & 0x0f) * 4;
  if (packet.length < headerBytes + 8) return false;
  return kind === 'icmp' ? packet[headerBytes] === ECHO_REQUEST : BFD_PORTS.includes(packet.readUInt16BE(headerBytes + 2));
}
