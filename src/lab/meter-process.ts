/**
 * The program behind a traffic meter, in the client's namespace: sends a numbered UDP packet every interval, notes what
 * comes back, answers questions about it. One blocking loop, because Node's timers know whole milliseconds only.
 */
import { monotonicMs } from './clock.js';
import { serveControl } from './control-server.js';
import { FdLoop } from './fd-loop.js';
import { sayReady } from './helper-process.js';
import { dropTimerSlack, read, runAhead, udpSocket, wouldBlock, write } from './libc.js';
import { PacketLog } from './packet-log.js';
import { watchTether } from './tether.js';

/** The program's only argument, as JSON. */
export interface MeterProcessOptions {
  readonly address: string;
  readonly port: number;
  readonly intervalMs: number;
  readonly payloadBytes: number;
  readonly graceMs: number;
  readonly gapThresholdMs: number;
  readonly socketPath: string;
}

export type MeterCommand =
  | { readonly do: 'stats'; readonly sinceMs?: number; readonly final?: boolean }
  | { readonly do: 'packets'; readonly sinceMs?: number }
  | { readonly do: 'stop-sending' }
  | { readonly do: 'quit' };

const SEQ_AT = 0;

function main(options: MeterProcessOptions): void {
  runAhead();
  dropTimerSlack();
  const { intervalMs, graceMs, gapThresholdMs } = options;
  const fd = udpSocket('connect', options.address, options.port);
  const log = new PacketLog();
  const loop = new FdLoop();
  const outgoing = Buffer.alloc(options.payloadBytes);
  const incoming = Buffer.alloc(65_536);
  let sending = true;
  let dueMs = monotonicMs();

  loop.watch(fd, () => {
    // A failed read reports (and clears) an ICMP error; the datagrams behind it still wait.
    for (let failures = 0; failures < 8; ) {
      const bytes = read(fd, incoming);
      if (bytes < 0 && wouldBlock()) return;
      if (bytes < 0) failures++;
      else if (bytes >= SEQ_AT + 4) log.arrived(incoming.readUInt32BE(SEQ_AT), monotonicMs());
    }
  });

  const send = (nowMs: number) => {
    outgoing.writeUInt32BE(log.nextSeq, SEQ_AT);
    log.sent(nowMs);
    // The first write may only report an earlier ICMP error; the packet itself goes with the second. Without a way out it is lost.
    if (write(fd, outgoing) < 0) write(fd, outgoing);
  };

  serveControl(loop, options.socketPath, (raw) => {
    const command = raw as MeterCommand;
    switch (command.do) {
      case 'stats': {
        const { sinceMs, final = false } = command;
        const nowMs = monotonicMs();
        return log.stats({
          nowMs,
          graceMs: final ? 0 : graceMs,
          gapThresholdMs,
          ended: !sending,
          ...(sinceMs !== undefined && { sinceMs }),
        });
      }
      case 'packets':
        return log.packets(command.sinceMs ?? Number.NEGATIVE_INFINITY);
      case 'stop-sending':
        sending = false;
        return null;
      case 'quit':
        loop.stop();
        return null;
      default:
        throw new Error(`unknown command ${JSON.stringify(raw)}`);
    }
  });

  watchTether(loop, () => loop.stop());
  sayReady();
  loop.run((nowMs) => {
    if (!sending) return Number.POSITIVE_INFINITY;
    if (nowMs >= dueMs) {
      send(nowMs);
      // After a hold-up the missed packets are left out: a burst would hide that we did not send.
      dueMs += intervalMs * Math.max(1, Math.ceil((nowMs - dueMs) / intervalMs));
    }
    return dueMs;
  });
}

main(JSON.parse(process.argv[2] ?? '{}'));
