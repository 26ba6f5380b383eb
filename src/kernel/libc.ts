/**
 * The few libc calls that Node does not have, through koffi. One typed function per call, nothing clever: each throws a
 * KernelError with the errno, except those whose "would block" is an answer. Linux only; knows nothing of netlink or probes.
 */
import koffi from 'koffi';
import { errnoName, KernelError } from './error.js';

/** The program itself: libc is linked to it, whichever libc that is (glibc, musl). */
const libc = koffi.load(null);

type Bytes = Uint8Array;

const cSocket: (domain: number, type: number, protocol: number) => number = libc.func('int socket(int, int, int)');
const cBind: (fd: number, address: Bytes, length: number) => number = libc.func('int bind(int, const uint8_t *, uint32_t)');
const cConnect: (fd: number, address: Bytes, length: number) => number = libc.func('int connect(int, const uint8_t *, uint32_t)');
const cSetsockopt: (fd: number, level: number, name: number, value: Bytes, length: number) => number = libc.func(
  'int setsockopt(int, int, int, const uint8_t *, uint32_t)',
);
const cGetsockopt: (fd: number, level: number, name: number, value: Bytes, length: Uint32Array) => number = libc.func(
  'int getsockopt(int, int, int, _Out_ uint8_t *, _Inout_ uint32_t *)',
);
const cGetsockname: (fd: number, address: Bytes, length: Uint32Array) => number = libc.func(
  'int getsockname(int, _Out_ uint8_t *, _Inout_ uint32_t *)',
);
const cSend: (fd: number, data: Bytes, length: number, flags: number) => number = libc.func(
  'int64_t send(int, const uint8_t *, size_t, int)',
);
const cSendto: (fd: number, data: Bytes, length: number, flags: number, address: Bytes, addressLength: number) => number =
  libc.func('int64_t sendto(int, const uint8_t *, size_t, int, const uint8_t *, uint32_t)');
const cRecv: (fd: number, data: Bytes, length: number, flags: number) => number = libc.func(
  'int64_t recv(int, uint8_t *, size_t, int)',
);
const cRecvmsg: (fd: number, header: Bytes, flags: number) => number = libc.func('int64_t recvmsg(int, uint8_t *, int)');
const cFlock: (fd: number, operation: number) => number = libc.func('int flock(int, int)');
const cClose: (fd: number) => number = libc.func('int close(int)');

export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;
export const SOL_SOCKET = 1;
export const SO_RCVBUF = 8;
export const SO_RCVTIMEO = 20;
export const SO_BINDTODEVICE = 25;
export const SO_RCVBUFFORCE = 33;
export const SO_MARK = 36;
export const MSG_TRUNC = 0x20;
export const MSG_DONTWAIT = 0x40;
export const MSG_ERRQUEUE = 0x2000;
export const MSG_NOSIGNAL = 0x4000;

const EINTR = 4;
const EAGAIN = 11;

function fail(doing: string): never {
  throw new KernelError(errnoName(koffi.errno()), doing);
}

/** Repeats `call` while a signal interrupts it (signal(7)). */
function uninterrupted(call: () => number): number {
  for (;;) {
    const result = call();
    if (result >= 0 || koffi.errno() !== EINTR) return result;
  }
}

export function socket(domain: number, type: number, protocol: number): number {
  const fd = cSocket(domain, type, protocol);
  return fd >= 0 ? fd : fail('socket');
}

export function bind(fd: number, address: Bytes): void {
  if (cBind(fd, address, address.length) < 0) fail('bind');
}

export function connect(fd: number, address: Bytes): void {
  if (uninterrupted(() => cConnect(fd, address, address.length)) < 0) fail('connect');
}

export function setsockopt(fd: number, level: number, name: number, value: Bytes): void {
  if (cSetsockopt(fd, level, name, value, value.length) < 0) fail(`setsockopt ${level}/${name}`);
}

/** Sets an option whose value is a C int. */
export function setsockoptInt(fd: number, level: number, name: number, value: number): void {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value | 0);
  setsockopt(fd, level, name, bytes);
}

/** Reads an option of at most `size` bytes. */
export function getsockopt(fd: number, level: number, name: number, size: number): Buffer {
  const value = Buffer.alloc(size);
  const length = new Uint32Array([size]);
  if (cGetsockopt(fd, level, name, value, length) < 0) fail(`getsockopt ${level}/${name}`);
  return value.subarray(0, Math.min(size, length[0] ?? 0));
}

/** The socket's own address as raw sockaddr bytes. */
export function getsockname(fd: number): Buffer {
  const address = Buffer.alloc(128);
  const length = new Uint32Array([address.length]);
  if (cGetsockname(fd, address, length) < 0) fail('getsockname');
  return address.subarray(0, Math.min(address.length, length[0] ?? 0));
}

export function send(fd: number, data: Bytes, flags = 0): number {
  const sent = uninterrupted(() => cSend(fd, data, data.length, flags));
  return sent >= 0 ? sent : fail('send');
}

export function sendto(fd: number, data: Bytes, address: Bytes, flags = 0): number {
  const sent = uninterrupted(() => cSendto(fd, data, data.length, flags, address, address.length));
  return sent >= 0 ? sent : fail('sendto');
}

/** Bytes read, with MSG_TRUNC in `flags` the datagram's real length; null when it would block (or SO_RCVTIMEO ran out). */
export function recv(fd: number, into: Bytes, flags = 0): number | null {
  const got = uninterrupted(() => cRecv(fd, into, into.length, flags));
  if (got >= 0) return got;
  return koffi.errno() === EAGAIN ? null : fail('recv');
}

/** One received message with its ancillary data. The views point into buffers that the next call overwrites. */
export interface ReceivedMessage {
  readonly name: Buffer;
  readonly data: Buffer;
  readonly control: Buffer;
}

// struct msghdr of the 64-bit Linux ABI: name*, namelen, iov*, iovlen, control*, controllen, flags (recvmsg(2)).
// koffi.address() of a Buffer stays true: V8 never moves a backing store.
const msgName = Buffer.alloc(128);
const msgData = Buffer.alloc(2048);
const msgControl = Buffer.alloc(512);
const msgIov = Buffer.alloc(16);
const msgHeader = Buffer.alloc(56);

/** recvmsg(2); null when it would block. */
export function recvmsg(fd: number, flags: number): ReceivedMessage | null {
  msgIov.writeBigUInt64LE(koffi.address(msgData), 0);
  msgIov.writeBigUInt64LE(BigInt(msgData.length), 8);
  msgHeader.fill(0);
  msgHeader.writeBigUInt64LE(koffi.address(msgName), 0);
  msgHeader.writeUInt32LE(msgName.length, 8);
  msgHeader.writeBigUInt64LE(koffi.address(msgIov), 16);
  msgHeader.writeBigUInt64LE(1n, 24);
  msgHeader.writeBigUInt64LE(koffi.address(msgControl), 32);
  msgHeader.writeBigUInt64LE(BigInt(msgControl.length), 40);
  const got = uninterrupted(() => cRecvmsg(fd, msgHeader, flags));
  if (got < 0) return koffi.errno() === EAGAIN ? null : fail('recvmsg');
  return {
    name: msgName.subarray(0, Math.min(msgName.length, msgHeader.readUInt32LE(8))),
    data: msgData.subarray(0, Math.min(msgData.length, got)),
    control: msgControl.subarray(0, Math.min(msgControl.length, Number(msgHeader.readBigUInt64LE(40)))),
  };
}

/** flock(2) LOCK_EX | LOCK_NB: false when another open file holds it. */
export function tryLockExclusive(fd: number): boolean {
  if (uninterrupted(() => cFlock(fd, 2 | 4)) >= 0) return true;
  return koffi.errno() === EAGAIN ? false : fail('flock');
}

/** Closes; an fd that is closed already is not an error worth more than the one that led here. */
export function close(fd: number): void {
  cClose(fd);
}

/**
 * Watches a descriptor on libuv's own loop (uv_poll): no thread, and nothing that keeps process.exit waiting.
 * `onReady` must never throw. It runs outside Node's callback scope: promises and process.nextTick queued in it wait until
 * the loop next enters JavaScript, so it should leave follow-up work to setImmediate.
 */
export function watchReadable(fd: number, onReady: () => void): { close(): void } {
  // koffi calls back with (status, events) although its typings name the events only. A socket with a pending error is
  // reported with a negative status and libuv then stops the handle: start it again, or nothing is ever heard any more.
  const handle = koffi.node.poll(fd, { readable: true }, ready);
  let open = true;
  function ready(...args: unknown[]): void {
    if (!open) return;
    onReady();
    if (open && typeof args[0] === 'number' && args[0] < 0) handle.start({ readable: true }, ready);
  }
  return {
    close() {
      if (!open) return;
      open = false;
      handle.close();
    },
  };
}
