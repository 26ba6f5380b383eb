/**
 * The few libc calls that the lab's own processes make: namespaces, TUN, poll and sockets in one blocking loop.
 * Node's own I/O does not serve here: fs.read on a TUN starves its thread pool, and timers have whole milliseconds.
 * man: setns(2), ppoll(2), unix(7), udp(7), ioctl_tun, linux/if_tun.h
 */
import { closeSync, constants, openSync } from 'node:fs';
import { isIPv4 } from 'node:net';
import { constants as os } from 'node:os';
import koffi from 'koffi';

const libc = koffi.load('libc.so.6');

type Call<A extends unknown[]> = (...args: A) => number;
const setns: Call<[number, number]> = libc.func('int setns(int fd, int nstype)');
const ioctl: Call<[number, number, Buffer]> = libc.func('int ioctl(int fd, unsigned long request, void *arg)');
const ppoll: Call<[Buffer, number, Buffer | null, null]> = libc.func(
  'int ppoll(void *fds, unsigned long count, void *timeout, void *mask)',
);
const prctl: Call<[number, number, number, number, number]> = libc.func(
  'int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)',
);
const schedSetscheduler: Call<[number, number, Buffer]> = libc.func(
  'int sched_setscheduler(int pid, int policy, const void *param)',
);
const libcRead: Call<[number, Buffer, number]> = libc.func('long read(int fd, void *buffer, unsigned long count)');
const libcWrite: Call<[number, Uint8Array, number]> = libc.func('long write(int fd, const void *buffer, unsigned long count)');
const libcSocket: Call<[number, number, number]> = libc.func('int socket(int domain, int type, int protocol)');
const libcBind: Call<[number, Buffer, number]> = libc.func('int bind(int fd, const void *address, unsigned int length)');
const libcConnect: Call<[number, Buffer, number]> = libc.func('int connect(int fd, const void *address, unsigned int length)');
const libcListen: Call<[number, number]> = libc.func('int listen(int fd, int backlog)');
const libcAccept: Call<[number, null, null, number]> = libc.func('int accept4(int fd, void *address, void *length, int flags)');
const libcRecvfrom: Call<[number, Buffer, number, number, Buffer, Buffer]> = libc.func(
  'long recvfrom(int fd, void *buffer, unsigned long count, int flags, void *address, void *length)',
);
const libcSendto: Call<[number, Buffer, number, number, Buffer, number]> = libc.func(
  'long sendto(int fd, const void *buffer, unsigned long count, int flags, const void *address, unsigned int length)',
);

const getsockopt: Call<[number, number, number, Buffer, Buffer]> = libc.func(
  'int getsockopt(int fd, int level, int option, void *value, void *length)',
);

const CLONE_NEWNET = 0x40000000;
const TUNSETIFF = 0x400454ca;
const TUNSETCARRIER = 0x400454e2;
const IFF_TUN = 0x0001;
const IFF_NO_PI = 0x1000;
const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const SCHED_RR = 2;
const SOL_SOCKET = 1;
const SO_ERROR = 4;
const IPPROTO_TCP = 6;
const TCP_INFO = 11;
const PR_SET_TIMERSLACK = 29;

export const POLLIN = 0x001;
export const POLLOUT = 0x004;

/** A failed libc call: `code` is the errno's name where Node knows it. */
export class LibcError extends Error {
  readonly code: string;
  constructor(call: string, errno: number) {
    const code = Object.entries(os.errno).find(([, value]) => value === errno)?.[0] ?? `errno ${errno}`;
    super(`${call}: ${code}`);
    this.name = 'LibcError';
    this.code = code;
  }
}

function check(call: string, result: number): number {
  if (result < 0) throw new LibcError(call, koffi.errno());
  return result;
}

/** -1 for "not now" (EAGAIN, EINTR) and for errors that a datagram socket merely reports; the caller polls again. */
function again(): boolean {
  const errno = koffi.errno();
  return errno === os.errno.EAGAIN || errno === os.errno.EINTR;
}

/**
 * Ahead of all ordinary processes: a machine that is busy with what is measured must not bend the measure. The caller sleeps
 * nearly always; the kernel's real-time throttling bounds it where it does not. Without the right to it: ordinary priority.
 */
export function runAhead(): void {
  const priority = Buffer.alloc(4);
  priority.writeInt32LE(1, 0);
  schedSetscheduler(0, SCHED_RR, priority);
}

/** Wakes within a microsecond of a timeout instead of 50 (the kernel's default slack for ordinary processes). */
export function dropTimerSlack(): void {
  check('prctl', prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0));
}

/** Runs synchronous code with this thread in the network namespace `path` (/run/netns/NAME), and comes back. */
export function inNamespace<T>(path: string, body: () => T): T {
  const home = openSync('/proc/thread-self/ns/net', 'r');
  const there = openSync(path, 'r');
  try {
    check('setns', setns(there, CLONE_NEWNET));
    try {
      return body();
    } finally {
      check('setns', setns(home, CLONE_NEWNET));
    }
  } finally {
    closeSync(there);
    closeSync(home);
  }
}

/** A new TUN device (IP packets without header) in this thread's namespace; non-blocking. It goes with its descriptor. */
export function openTun(name: string): number {
  const fd = openSync('/dev/net/tun', constants.O_RDWR | constants.O_NONBLOCK);
  const request = Buffer.alloc(40);
  request.write(name, 0, 15, 'latin1');
  request.writeUInt16LE(IFF_TUN | IFF_NO_PI, 16);
  check(`TUNSETIFF ${name}`, ioctl(fd, TUNSETIFF, request));
  return fd;
}

/** Whether the TUN device behind a descriptor of {@link openTun} has carrier. */
export function setTunCarrier(fd: number, carrier: boolean): void {
  const value = Buffer.alloc(4);
  value.writeInt32LE(carrier ? 1 : 0, 0);
  check('TUNSETCARRIER', ioctl(fd, TUNSETCARRIER, value));
}

/** Segments that TCP has sent again on this socket (tcpi_total_retrans of TCP_INFO, tcp(7)); null where it is no longer known. */
export function tcpRetransmissions(fd: number): number | null {
  const info = Buffer.alloc(104);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(info.length, 0);
  return getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, length) < 0 ? null : info.readUInt32LE(100);
}

/** The error that waits on a socket (SO_ERROR, socket(7)), by its name, and takes it away; null = none. */
export function takeSocketError(fd: number): string | null {
  const value = Buffer.alloc(4);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(value.length, 0);
  check('SO_ERROR', getsockopt(fd, SOL_SOCKET, SO_ERROR, value, length));
  const errno = value.readInt32LE(0);
  return errno === 0 ? null : new LibcError('', errno).code;
}

/** Waits for the descriptors of a pollfd array; timeoutMs Infinity = for ever. Returns how many have events. */
export function poll(pollfds: Buffer, count: number, timeoutMs: number, timespec: Buffer): number {
  if (timeoutMs !== Number.POSITIVE_INFINITY) {
    const ns = Math.max(0, Math.round(timeoutMs * 1e6));
    timespec.writeBigInt64LE(BigInt(Math.floor(ns / 1e9)), 0);
    timespec.writeBigInt64LE(BigInt(ns % 1e9), 8);
  }
  const ready = ppoll(pollfds, count, timeoutMs === Number.POSITIVE_INFINITY ? null : timespec, null);
  if (ready < 0 && !again()) throw new LibcError('ppoll', koffi.errno());
  return Math.max(0, ready);
}

/** Bytes read, 0 at the end of the stream, -1 when there is nothing now or the read failed. */
export function read(fd: number, into: Buffer): number {
  return libcRead(fd, into, into.length);
}

/** Bytes written, -1 when that is not possible now or at all. */
export function write(fd: number, bytes: Uint8Array): number {
  return libcWrite(fd, bytes, bytes.length);
}

/** True when the last read or write here gave -1 only because it would have blocked. */
export function wouldBlock(): boolean {
  return again();
}

export function close(fd: number): void {
  closeSync(fd);
}

/** A listening unix stream socket at `path`. Throws where the path is longer than unix(7) allows. */
export function listenUnix(path: string): number {
  const name = Buffer.from(path);
  if (name.length > 107) throw new Error(`the socket's path is longer than 107 bytes: ${path}`);
  const address = Buffer.alloc(2 + name.length + 1);
  address.writeUInt16LE(AF_UNIX, 0);
  name.copy(address, 2);
  const fd = check('socket', libcSocket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  check(`bind ${path}`, libcBind(fd, address, address.length));
  check('listen', libcListen(fd, 8));
  return fd;
}

/** The next waiting connection, non-blocking; -1 when there is none. */
export function accept(fd: number): number {
  return libcAccept(fd, null, null, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

/** A non-blocking UDP socket, bound or connected to the address. */
export function udpSocket(how: 'bind' | 'connect', address: string, port: number): number {
  const sockaddr = internetAddress(address, port);
  const fd = check('socket', libcSocket(isIPv4(address) ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const call = how === 'bind' ? libcBind : libcConnect;
  check(`${how} ${address} port ${port}`, call(fd, sockaddr, sockaddr.length));
  return fd;
}

/** Sends every waiting datagram back to where it came from. Stops when nothing waits. */
export function echoWaiting(fd: number, buffer: Buffer, address: Buffer, length: Buffer): void {
  for (;;) {
    length.writeUInt32LE(address.length, 0);
    const bytes = libcRecvfrom(fd, buffer, buffer.length, 0, address, length);
    if (bytes < 0) return;
    libcSendto(fd, buffer, bytes, 0, address, length.readUInt32LE(0));
  }
}

function internetAddress(address: string, port: number): Buffer {
  if (isIPv4(address)) {
    const sockaddr = Buffer.alloc(16);
    sockaddr.writeUInt16LE(AF_INET, 0);
    sockaddr.writeUInt16BE(port, 2);
    address.split('.').forEach((byte, at) => {
      sockaddr.writeUInt8(Number(byte), 4 + at);
    });
    return sockaddr;
  }
  const sockaddr = Buffer.alloc(28);
  sockaddr.writeUInt16LE(AF_INET6, 0);
  sockaddr.writeUInt16BE(port, 2);
  ipv6Words(address).forEach((word, at) => {
    sockaddr.writeUInt16BE(word, 8 + 2 * at);
  });
  return sockaddr;
}

/** The eight words of an IPv6 address in pure hexadecimal notation. */
export function ipv6Words(address: string): number[] {
  const [head = '', tail] = address.split('::');
  const words = (text: string) => (text === '' ? [] : text.split(':').map((word) => Number.parseInt(word, 16)));
  const left = words(head);
  const right = tail === undefined ? [] : words(tail);
  return [...left, ...Array<number>(8 - left.length - right.length).fill(0), ...right];
}
