/**
 * A DNS query and what of its response matters to a probe, as bytes. Pure: no sockets, no clock, no randomness.
 * RFC 1035 section 4; random letter case (draft-vixie-dnsext-dns0x20) makes a forged answer harder.
 */
export type DnsType = 'A' | 'AAAA' | 'NS' | 'SOA';

export const DNS_HEADER_BYTES = 12;
const MAX_NAME_BYTES = 255;
const MAX_LABEL_BYTES = 63;
const TYPES: Readonly<Record<DnsType, number>> = { A: 1, NS: 2, SOA: 6, AAAA: 28 };
const CLASS_IN = 1;
const RCODES: readonly string[] = [
  'NOERROR',
  'FORMERR',
  'SERVFAIL',
  'NXDOMAIN',
  'NOTIMP',
  'REFUSED',
  'YXDOMAIN',
  'YXRRSET',
  'NXRRSET',
  'NOTAUTH',
  'NOTZONE',
];

/** Whether `name` can be asked for: ASCII labels of 1 to 63 bytes, 255 in all; `.` is the root. */
export function isDnsName(name: string): boolean {
  const labels = labelsOf(name);
  const bytes = labels.reduce((sum, label) => sum + 1 + label.length, 1);
  return bytes <= MAX_NAME_BYTES && labels.every((label) => label.length <= MAX_LABEL_BYTES && /^[\x21-\x7e]+$/.test(label));
}

/** A recursive query. `name` must be isDnsName; each letter's case is taken from one bit of `caseBits`. */
export function buildDnsQuery(id: number, name: string, type: DnsType, caseBits: Uint8Array): Uint8Array {
  const bytes = [id >>> 8, id, 0x01, 0, 0, 1, 0, 0, 0, 0, 0, 0];
  let bit = 0;
  for (const label of labelsOf(name)) {
    bytes.push(label.length);
    for (const character of label) {
      const letter = character.charCodeAt(0) | 0x20;
      if (letter < 0x61 || letter > 0x7a) {
        bytes.push(character.charCodeAt(0));
        continue;
      }
      const upper = ((caseBits[bit >>> 3] ?? 0) >>> (bit & 7)) & 1;
      bit++;
      bytes.push(upper === 1 ? letter & ~0x20 : letter);
    }
  }
  bytes.push(0, 0, TYPES[type], 0, CLASS_IN);
  return Uint8Array.from(bytes);
}

export type DnsResponse =
  /** somebody's answer to something else, or a forged one: as if it had not come */
  | { readonly kind: 'foreign'; readonly why: string }
  | { readonly kind: 'malformed'; readonly why: string }
  | { readonly kind: 'response'; readonly rcode: string };

/** Reads `message` as the response to `query`. Never throws, whatever the bytes. */
export function parseDnsResponse(message: Uint8Array, query: Uint8Array): DnsResponse {
  if (message.length < DNS_HEADER_BYTES) return { kind: 'foreign', why: 'too short for a DNS header' };
  if (message[0] !== query[0] || message[1] !== query[1]) return { kind: 'foreign', why: 'the identifier is another' };
  const flags = word(message, 2);
  if ((flags & 0x8000) === 0 || (flags & 0x7800) !== 0) return { kind: 'foreign', why: 'it is no response to a query' };
  const rcode = RCODES[flags & 0x0f] ?? `rcode ${flags & 0x0f}`;
  const questions = word(message, 4);
  // A server that refuses may leave the question out.
  if (questions === 0 && rcode !== 'NOERROR' && rcode !== 'NXDOMAIN') return { kind: 'response', rcode };
  if (questions !== 1) return { kind: 'foreign', why: `${questions} questions instead of ours` };
  // The first name of a message cannot be compressed, so the echoed question is the very bytes we sent.
  if (message.length < query.length) return { kind: 'malformed', why: 'it ends inside the question' };
  for (let at = DNS_HEADER_BYTES; at < query.length; at++) {
    if (message[at] !== query[at]) return { kind: 'foreign', why: 'the question is another, or in other letter case' };
  }
  const truncated = (flags & 0x0200) !== 0;
  if (!truncated) {
    const records = word(message, 6) + word(message, 8) + word(message, 10);
    const why = checkRecords(message, query.length, records);
    if (why !== null) return { kind: 'malformed', why };
  }
  return { kind: 'response', rcode };
}

/** Null when so many resource records fit into the message. */
function checkRecords(message: Uint8Array, from: number, records: number): string | null {
  let at = from;
  for (let record = 1; record <= records; record++) {
    at = skipName(message, at);
    if (at < 0 || at + 10 > message.length) return `it ends inside record ${record} of ${records}`;
    at += 10 + word(message, at + 8);
    if (at > message.length) return `it ends inside record ${record} of ${records}`;
  }
  return null;
}

/** Offset behind a name, or -1. A pointer ends a name, so none is followed and none can loop. */
function skipName(message: Uint8Array, from: number): number {
  for (let at = from; at < message.length; ) {
    const length = message[at] ?? 0;
    if (length === 0) return at + 1;
    if (length >= 0xc0) return at + 2;
    if (length > MAX_LABEL_BYTES) return -1;
    at += 1 + length;
  }
  return -1;
}

function word(message: Uint8Array, at: number): number {
  return ((message[at] ?? 0) << 8) | (message[at + 1] ?? 0);
}

function labelsOf(name: string): string[] {
  const relative = name.endsWith('.') ? name.slice(0, -1) : name;
  return relative === '' ? [] : relative.split('.');
}
