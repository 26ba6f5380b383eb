/**
 * Requests to rtnetlink over a socket of its own: send, read the acknowledgement or the whole dump, synchronously.
 * Never subscribed to anything: an event inside a dump would end it. Knows no message's meaning.
 */
import { errnoName, KernelError } from '../error.js';
import * as libc from '../libc.js';
import * as nl from './constants.js';
import { forEachMessage, MalformedError, type Message, parseStatus } from './wire.js';

const NETLINK_ROUTE = 0;
export const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const NETLINK_GET_STRICT_CHK = 12;

/** The kernel fills at most 32 KiB of a dump at a time, however big the reader's buffer (netlink_dump). */
const RECEIVE_BYTES = 64 * 1024;
const RECEIVE_BUFFER_BYTES = 1024 * 1024;
/** The kernel answers within the send call; this only keeps a kernel bug from hanging the daemon. */
const TIMEOUT_SECONDS = 2;
/** A dump disturbed by a change is asked again, this often; the last one is taken as it is: an event follows it anyway. */
const DUMP_ATTEMPTS = 8;

/** sockaddr_nl with these multicast groups (bit mask of the first 32). */
export function netlinkAddress(groups = 0): Buffer {
  const address = Buffer.alloc(12);
  address.writeUInt16LE(libc.AF_NETLINK, 0);
  address.writeUInt32LE(groups >>> 0, 8);
  return address;
}

export function openRouteSocket(flags = 0): number {
  return libc.socket(libc.AF_NETLINK, libc.SOCK_RAW | libc.SOCK_CLOEXEC | flags, NETLINK_ROUTE);
}

/** Sets the receive buffer past net.core.rmem_max where CAP_NET_ADMIN allows it. */
export function setReceiveBuffer(fd: number, bytes: number): void {
  try {
    libc.setsockoptInt(fd, libc.SOL_SOCKET, libc.SO_RCVBUFFORCE, bytes);
  } catch {
    libc.setsockoptInt(fd, libc.SOL_SOCKET, libc.SO_RCVBUF, bytes);
  }
}

/** Kernels before 4.20 lack one or the other; without them texts are missing and dumps unfiltered, nothing worse. */
function setOption(fd: number, option: number): void {
  try {
    libc.setsockoptInt(fd, SOL_NETLINK, option, 1);
  } catch (error) {
    if (!(error instanceof KernelError && error.errno === 'ENOPROTOOPT')) throw error;
  }
}

export interface AskingSocketOptions {
  readonly protocol: number;
  readonly receiveBufferBytes: number;
  /** how long a read may wait for the kernel */
  readonly timeoutSeconds: number;
  readonly strictChecks: boolean;
}

/** A socket for requests, connected to the kernel: no other process can put messages into our answers. Throws a KernelError. */
export function openAskingSocket(options: AskingSocketOptions): number {
  const fd = libc.socket(libc.AF_NETLINK, libc.SOCK_RAW | libc.SOCK_CLOEXEC, options.protocol);
  try {
    libc.bind(fd, netlinkAddress());
    libc.connect(fd, netlinkAddress());
    const checks = options.strictChecks ? [NETLINK_GET_STRICT_CHK] : [];
    for (const option of [NETLINK_CAP_ACK, NETLINK_EXT_ACK, ...checks]) setOption(fd, option);
    setReceiveBuffer(fd, options.receiveBufferBytes);
    const timeout = Buffer.alloc(16);
    timeout.writeBigInt64LE(BigInt(options.timeoutSeconds), 0);
    libc.setsockopt(fd, libc.SOL_SOCKET, libc.SO_RCVTIMEO, timeout);
  } catch (error) {
    libc.close(fd);
    throw error;
  }
  return fd;
}

/** Builds a request with the flags and the sequence number that the session gives. */
export type RequestBuilder = (sequence: number, flags: number) => Buffer;

export class RequestSession {
  #fd: number | null = null;
  #sequence = 0;
  readonly #buffer = Buffer.alloc(RECEIVE_BYTES);

  #open(): number {
    this.#fd ??= openAskingSocket({
      protocol: NETLINK_ROUTE,
      receiveBufferBytes: RECEIVE_BUFFER_BYTES,
      timeoutSeconds: TIMEOUT_SECONDS,
      strictChecks: true,
    });
    return this.#fd;
  }

  close(): void {
    if (this.#fd !== null) libc.close(this.#fd);
    this.#fd = null;
  }

  /** Sends one change and waits for its acknowledgement. Throws a KernelError with the kernel's errno and text. */
  request(doing: string, build: RequestBuilder): void {
    const sequence = this.#nextSequence();
    this.#exchange(doing, build(sequence, nl.NLM_F_REQUEST | nl.NLM_F_ACK), (message) => {
      if (message.sequence !== sequence || message.type !== nl.NLMSG_ERROR) return false;
      throwStatus(doing, parseStatus(message, 'error'));
      return true;
    });
  }

  /** Reads a whole dump; `each` gets the body of every message of it. Asked again when a change disturbed it. */
  dump<T>(doing: string, build: RequestBuilder, each: (body: Buffer) => T | null): T[] {
    for (let attempt = 1; ; attempt++) {
      const sequence = this.#nextSequence();
      const found: T[] = [];
      let disturbed = false;
      this.#exchange(doing, build(sequence, nl.NLM_F_REQUEST | nl.NLM_F_DUMP), (message) => {
        if (message.sequence !== sequence) return false;
        if ((message.flags & nl.NLM_F_DUMP_INTR) !== 0) disturbed = true;
        if (message.type === nl.NLMSG_ERROR) {
          throwStatus(doing, parseStatus(message, 'error'));
          return true;
        }
        if (message.type === nl.NLMSG_DONE) {
          throwStatus(doing, parseStatus(message, 'done'));
          return true;
        }
        const item = each(message.body);
        if (item !== null) found.push(item);
        return false;
      });
      if (!disturbed || attempt === DUMP_ATTEMPTS) return found;
    }
  }

  #nextSequence(): number {
    this.#sequence = (this.#sequence % 0x7fffffff) + 1;
    return this.#sequence;
  }

  /** Sends and feeds messages to `take` until it says that the answer is complete. */
  #exchange(doing: string, request: Buffer, take: (message: Message) => boolean): void {
    const fd = this.#open();
    let clean = false;
    try {
      libc.send(fd, request);
      for (let complete = false; !complete; ) {
        const length = libc.recv(fd, this.#buffer, libc.MSG_TRUNC);
        if (length === null) throw new KernelError('ETIMEDOUT', doing);
        if (length > this.#buffer.length) throw new MalformedError(`answer of ${length} bytes`);
        forEachMessage(this.#buffer.subarray(0, length), (message) => {
          if (!complete && take(message)) complete = true;
        });
      }
      clean = true;
    } catch (error) {
      // The kernel's refusal ends an exchange as well as an acknowledgement does: nothing of it is left unread.
      if (error instanceof RefusedError) clean = true;
      throw error instanceof MalformedError ? new KernelError('EPROTO', doing, error.message) : error;
    } finally {
      // Whatever else went wrong may leave half an answer in the socket: start afresh.
      if (!clean) this.close();
    }
  }
}

/** An errno that the kernel answered with, as opposed to a failure of the exchange itself. */
class RefusedError extends KernelError {}

function throwStatus(doing: string, status: { errno: number; text: string | null }): void {
  if (status.errno !== 0) throw new RefusedError(errnoName(status.errno), doing, status.text);
}
