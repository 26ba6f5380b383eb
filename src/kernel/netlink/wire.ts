/**
 * Netlink framing: messages, attributes, errors (netlink(7)). Pure bytes; knows no message type's meaning.
 * Whatever it is given, it ends, stays within the bytes, and answers or throws a MalformedError.
 */
import { NLA_TYPE_MASK, NLM_F_ACK_TLVS, NLM_F_CAPPED, NLMSGERR_ATTR_MSG } from './constants.js';

/** The bytes are no well-formed netlink: truncated, or a length that cannot be. */
export class MalformedError extends Error {
  override readonly name = 'MalformedError';
}

export const HEADER_LENGTH = 16;
export const align4 = (length: number): number => (length + 3) & ~3;

/** One message: `body` starts after the header and ends with the message. */
export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly port: number;
  readonly body: Buffer;
}

/** Calls `each` for the messages of one datagram, in order. */
export function forEachMessage(datagram: Buffer, each: (message: Message) => void): void {
  let at = 0;
  while (at < datagram.length) {
    if (datagram.length - at < HEADER_LENGTH) throw new MalformedError(`${datagram.length - at} bytes where a header should be`);
    const length = datagram.readUInt32LE(at);
    if (length < HEADER_LENGTH || length > datagram.length - at) throw new MalformedError(`message length ${length}`);
    each({
      type: datagram.readUInt16LE(at + 4),
      flags: datagram.readUInt16LE(at + 6),
      sequence: datagram.readUInt32LE(at + 8),
      port: datagram.readUInt32LE(at + 12),
      body: datagram.subarray(at + HEADER_LENGTH, at + length),
    });
    at += align4(length);
  }
}

/** Calls `each` with type and value of the attributes from `offset` on. Nested and byte-order flags are masked off. */
export function forEachAttribute(bytes: Buffer, offset: number, each: (type: number, value: Buffer) => void): void {
  let at = offset;
  while (at < bytes.length) {
    // Padding after the last attribute may be shorter than a header; zero bytes there are no attribute.
    if (bytes.length - at < 4) return;
    const length = bytes.readUInt16LE(at);
    if (length < 4 || length > bytes.length - at) throw new MalformedError(`attribute length ${length}`);
    each(bytes.readUInt16LE(at + 2) & NLA_TYPE_MASK, bytes.subarray(at + 4, at + length));
    at += align4(length);
  }
}

export function u32(value: Buffer): number {
  if (value.length < 4) throw new MalformedError(`${value.length} bytes for a 32-bit value`);
  return value.readUInt32LE(0);
}

export function u16(value: Buffer): number {
  if (value.length < 2) throw new MalformedError(`${value.length} bytes for a 16-bit value`);
  return value.readUInt16LE(0);
}

export function u8(value: Buffer): number {
  if (value.length < 1) throw new MalformedError('no byte for an 8-bit value');
  return value.readUInt8(0);
}

/** A zero-terminated string, the zero left out. */
export function text(value: Buffer): string {
  const end = value.indexOf(0);
  return value.toString('utf8', 0, end < 0 ? value.length : end);
}

/** Body must hold a fixed part of this size. */
export function need(body: Buffer, size: number, what: string): void {
  if (body.length < size) throw new MalformedError(`${what} of ${body.length} bytes`);
}

/** NLMSG_ERROR, or the status at the head of an NLMSG_DONE. `errno` 0 is an acknowledgement. */
export function parseStatus(message: Message, kind: 'error' | 'done'): { errno: number; text: string | null } {
  const { body, flags } = message;
  if (body.length < 4) {
    if (kind === 'done') return { errno: 0, text: null };
    throw new MalformedError('error message without a number');
  }
  const errno = 0 - body.readInt32LE(0);
  let offset = 4;
  if (kind === 'error') {
    need(body, 4 + HEADER_LENGTH, 'error message');
    // The request comes back in full with an error, unless it was capped (NETLINK_CAP_ACK).
    offset += (flags & NLM_F_CAPPED) !== 0 || errno === 0 ? HEADER_LENGTH : align4(Math.max(HEADER_LENGTH, body.readUInt32LE(4)));
  }
  let said: string | null = null;
  if ((flags & NLM_F_ACK_TLVS) !== 0 && offset < body.length) {
    forEachAttribute(body, offset, (type, value) => {
      if (type === NLMSGERR_ATTR_MSG) said = text(value);
    });
  }
  return { errno, text: said };
}

/** Builds one message. Grows as needed; the length is written by `finish`. */
export class MessageBuilder {
  #bytes = Buffer.alloc(256);
  #length = HEADER_LENGTH;

  constructor(type: number, flags: number, sequence: number) {
    this.#bytes.writeUInt16LE(type, 4);
    this.#bytes.writeUInt16LE(flags, 6);
    this.#bytes.writeUInt32LE(sequence, 8);
  }

  #grow(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const bigger = Buffer.alloc(Math.max(this.#bytes.length * 2, this.#length + more));
    this.#bytes.copy(bigger, 0, 0, this.#length);
    this.#bytes = bigger;
  }

  /** The fixed part after the header. */
  fixed(bytes: Uint8Array): this {
    this.#grow(align4(bytes.length));
    this.#bytes.set(bytes, this.#length);
    this.#length += align4(bytes.length);
    return this;
  }

  attribute(type: number, value: Uint8Array): this {
    const length = 4 + value.length;
    this.#grow(align4(length));
    this.#bytes.writeUInt16LE(length, this.#length);
    this.#bytes.writeUInt16LE(type, this.#length + 2);
    this.#bytes.set(value, this.#length + 4);
    this.#length += align4(length);
    return this;
  }

  u32(type: number, value: number): this {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value >>> 0);
    return this.attribute(type, bytes);
  }

  u8(type: number, value: number): this {
    return this.attribute(type, Uint8Array.of(value));
  }

  finish(): Buffer {
    this.#bytes.writeUInt32LE(this.#length, 0);
    return this.#bytes.subarray(0, this.#length);
  }
}
