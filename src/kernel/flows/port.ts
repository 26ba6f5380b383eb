/**
 * A blocking netlink socket for the thread beside the loop: asks the kernel, reads until the answer is complete (netlink(7)).
 * For any netlink family; knows no message's meaning. Never used on the loop's own thread.
 */
import { errnoName, KernelError } from '../error.js';
import * as libc from '../libc.js';
import * as nl from '../netlink/constants.js';
import { openAskingSocket } from '../netlink/session.js';
import { align4, HEADER_LENGTH, MalformedError, parseStatus } from '../netlink/wire.js';

export const NETLINK_ROUTE = 0;
export const NETLINK_SOCK_DIAG = 4;
export const NETLINK_NETFILTER = 12;

/** of a message's header */
const FLAGS_AT = 6;
/** The kernel fills at most 32 KiB of a dump at a time, however big the reader's buffer (netlink_dump). */
const RECEIVE_BYTES = 64 * 1024;
/** Hundreds of acknowledgements wait in it at once. */
const RECEIVE_BUFFER_BYTES = 4 << 20;
/** The kernel answers within the send call or soon after; this keeps a kernel bug from hanging the thread. */
const TIMEOUT_SECONDS = 5;

/** What the kernel says about one request; `errno` null = done. */
interface Answer {
  readonly errno: string | null;
  readonly text: string | null;
}

export interface Refusal extends Answer {
  readonly errno: string;
}

/** Gets one message of an answer where it lies: its body is `bytes[start..end)`, valid until the callback returns. */
export type TakeMessage = (bytes: Buffer, start: number, end: number) => void;

export class NetlinkPort {
  readonly #protocol: number;
  readonly #buffer = Buffer.alloc(RECEIVE_BYTES);
  #fd: number | null = null;
  #sequence = 0;

  constructor(protocol: number) {
    this.#protocol = protocol;
  }

  #open(): number {
    this.#fd ??= openAskingSocket({
      protocol: this.#protocol,
      receiveBufferBytes: RECEIVE_BUFFER_BYTES,
      timeoutSeconds: TIMEOUT_SECONDS,
      strictChecks: false,
    });
    return this.#fd;
  }

  close(): void {
    if (this.#fd !== null) libc.close(this.#fd);
    this.#fd = null;
  }

  /** The first of `count` sequence numbers in a row. */
  sequences(count: number): number {
    if (this.#sequence + count > 0x7fffffff) this.#sequence = 0;
    const first = this.#sequence + 1;
    this.#sequence += count;
    return first;
  }

  /**
   * Sends a message that bears NLM_F_ACK and this sequence number; `take` gets what comes before the acknowledgement. Throws a
   * KernelError with the kernel's errno and text.
   * @param first the lowest number of a transaction: whichever of its messages is refused, all is
   */
  ask(doing: string, sequence: number, message: Buffer, take: TakeMessage = () => undefined, first = sequence): void {
    let answer: Answer = { errno: null, text: null };
    this.#exchange(doing, message, (type, flags, of, bytes, start, end) => {
      if (of < first || of > sequence) return false;
      if (type !== nl.NLMSG_ERROR) {
        take(bytes, start, end);
        return false;
      }
      answer = statusOf(flags, bytes, start, end);
      return answer.errno !== null || of === sequence;
    });
    if (answer.errno !== null) throw new KernelError(answer.errno, doing, answer.text);
  }

  /**
   * Sends messages without NLM_F_ACK at once, numbered from `first` on: the kernel takes them in order, and tells only what it refuses.
   * The last is made to bear the flag. Returns the refusals.
   */
  askMany(doing: string, first: number, messages: readonly Buffer[]): Refusal[] {
    const refused: Refusal[] = [];
    const last = first + messages.length - 1;
    const end = messages.at(-1);
    if (end === undefined) return refused;
    end.writeUInt16LE(end.readUInt16LE(FLAGS_AT) | nl.NLM_F_ACK, FLAGS_AT);
    this.#exchange(doing, Buffer.concat(messages), (type, flags, of, bytes, start, end) => {
      if (type !== nl.NLMSG_ERROR || of < first || of > last) return false;
      const { errno, text } = statusOf(flags, bytes, start, end);
      if (errno !== null) refused.push({ errno, text });
      return of === last;
    });
    return refused;
  }

  /**
   * Reads the whole answer to a message that bears NLM_F_DUMP. False = what it lists changed meanwhile, and something may be missing
   * (NLM_F_DUMP_INTR). Throws a KernelError.
   */
  dump(doing: string, sequence: number, message: Buffer, take: TakeMessage): boolean {
    let failed: Answer | null = null;
    let whole = true;
    this.#exchange(doing, message, (type, flags, of, bytes, start, end) => {
      if (of !== sequence) return false;
      if ((flags & nl.NLM_F_DUMP_INTR) !== 0) whole = false;
      if (type !== nl.NLMSG_ERROR && type !== nl.NLMSG_DONE) {
        take(bytes, start, end);
        return false;
      }
      const status = statusOf(flags, bytes, start, end, type === nl.NLMSG_DONE ? 'done' : 'error');
      if (status.errno !== null) failed = status;
      return true;
    });
    if (failed !== null) throw new KernelError((failed as Answer).errno ?? '', doing, (failed as Answer).text);
    return whole;
  }

  /** Feeds messages to `take` until it says that the answer is complete. No object is made for a message. */
  #exchange(
    doing: string,
    request: Buffer,
    take: (type: number, flags: number, sequence: number, bytes: Buffer, start: number, end: number) => boolean,
  ): void {
    const fd = this.#open();
    const buffer = this.#buffer;
    let clean = false;
    try {
      libc.send(fd, request);
      for (let complete = false; !complete; ) {
        const length = libc.recv(fd, buffer, libc.MSG_TRUNC);
        if (length === null) throw new KernelError('ETIMEDOUT', doing);
        if (length > buffer.length) throw new MalformedError(`answer of ${length} bytes`);
        for (let at = 0; at < length && !complete; ) {
          if (length - at < HEADER_LENGTH) throw new MalformedError(`${length - at} bytes where a header should be`);
          const size = buffer.readUInt32LE(at);
          if (size < HEADER_LENGTH || size > length - at) throw new MalformedError(`message length ${size}`);
          const type = buffer.readUInt16LE(at + 4);
          complete = take(type, buffer.readUInt16LE(at + 6), buffer.readUInt32LE(at + 8), buffer, at + HEADER_LENGTH, at + size);
          at += align4(size);
        }
      }
      clean = true;
    } catch (error) {
      throw error instanceof MalformedError ? new KernelError('EPROTO', doing, error.message) : error;
    } finally {
      // Half an answer may be left in the socket: start afresh.
      if (!clean) this.close();
    }
  }
}

function statusOf(flags: number, bytes: Buffer, start: number, end: number, kind: 'error' | 'done' = 'error'): Answer {
  const type = kind === 'error' ? nl.NLMSG_ERROR : nl.NLMSG_DONE;
  const { errno, text } = parseStatus({ type, flags, sequence: 0, port: 0, body: bytes.subarray(start, end) }, kind);
  return { errno: errno === 0 ? null : errnoName(errno), text };
}
