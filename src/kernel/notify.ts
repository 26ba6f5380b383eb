/**
 * sd_notify(3): tells the service manager how the daemon fares, one datagram a message to $NOTIFY_SOCKET.
 * Without that variable every call does nothing. Never throws: a deaf service manager must not hurt routing.
 */
import { AF_UNIX, close, MSG_DONTWAIT, MSG_NOSIGNAL, SOCK_CLOEXEC, SOCK_DGRAM, sendto, socket } from './libc.js';

/** CLOCK_MONOTONIC in microseconds, which RELOADING=1 must carry (Type=notify-reload). */
function monotonicMicroseconds(): bigint {
  return process.hrtime.bigint() / 1000n;
}

export interface ServiceManager {
  ready(status?: string): void;
  reloading(): void;
  stopping(): void;
  status(text: string): void;
  watchdog(): void;
  /** how often `watchdog` must be called at the latest, halved as sd_watchdog_enabled(3) advises; null = not asked for */
  readonly watchdogIntervalMs: number | null;
}

/** sockaddr_un for a path or, with a leading `@`, a name in the abstract namespace (unix(7)); null when it is too long. */
export function unixAddress(name: string): Buffer | null {
  const bytes = Buffer.from(name);
  // sun_path holds 108 bytes; a path wants its terminating zero among them, an abstract name does not.
  const abstract = name.startsWith('@');
  if (bytes.length === 0 || bytes.length > (abstract ? 108 : 107)) return null;
  if (abstract) bytes[0] = 0;
  const address = Buffer.alloc(2 + bytes.length + (abstract ? 0 : 1));
  address.writeUInt16LE(AF_UNIX, 0);
  bytes.copy(address, 2);
  return address;
}

/** @param environment NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID are looked at, once */
export function serviceManager(environment: Readonly<Record<string, string | undefined>>): ServiceManager {
  const name = environment.NOTIFY_SOCKET ?? '';
  const address = name.startsWith('/') || name.startsWith('@') ? unixAddress(name) : null;
  const say = (message: string): void => {
    if (address === null) return;
    try {
      const fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
      try {
        sendto(fd, Buffer.from(message), address, MSG_NOSIGNAL | MSG_DONTWAIT);
      } finally {
        close(fd);
      }
    } catch {
      // See above: nobody to tell.
    }
  };
  const oneLine = (text: string): string => text.replace(/\s*\n\s*/g, ' ');
  return {
    ready: (status) => say(status === undefined ? 'READY=1' : `READY=1\nSTATUS=${oneLine(status)}`),
    reloading: () => say(`RELOADING=1\nMONOTONIC_USEC=${monotonicMicroseconds()}`),
    stopping: () => say('STOPPING=1'),
    status: (text) => say(`STATUS=${oneLine(text)}`),
    watchdog: () => say('WATCHDOG=1'),
    watchdogIntervalMs: watchdogInterval(environment),
  };
}

function watchdogInterval(environment: Readonly<Record<string, string | undefined>>): number | null {
  const microseconds = Number(environment.WATCHDOG_USEC ?? Number.NaN);
  if (!Number.isFinite(microseconds) || microseconds <= 0) return null;
  const pid = environment.WATCHDOG_PID;
  if (pid !== undefined && pid !== String(process.pid)) return null;
  return microseconds / 2000;
}
