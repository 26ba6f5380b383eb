/**
 * A target as the file writes it: an address or name (ICMP), or a mapping that says how it is asked. Produces the core's
 * TargetConfig; whether it fits its uplink is merge.ts's.
 */
import * as z from 'zod/mini';
import type { TargetConfig } from '../core/config.js';
import { BUILT_IN } from './defaults.js';
import { readDomainName, readHost, readHostPort, readHttpUrl } from './host.js';
import { delegate, jsonParts, leaf, mapping, type ValueSchema } from './leaf.js';
import { nearest } from './nearest.js';
import { bad, choice, good, integer, type Read, type Reader } from './units.js';

/** The zone is kept beside until the uplink's interface is known. */
export interface TargetShape {
  readonly config: TargetConfig;
  readonly zone: string | null;
}

const KINDS = ['icmp', 'tcp', 'http', 'dns'] as const;
type Kind = (typeof KINDS)[number];

const icmp: Reader<TargetShape> = (text) => {
  const host = readHost(text);
  return host.ok ? good({ config: { kind: 'icmp', label: text, host: host.value.ref }, zone: host.value.zone }) : host;
};

const tcp: Reader<TargetShape> = (text) => {
  const host = readHostPort(text, null);
  if (!host.ok) return host;
  return good({
    config: { kind: 'tcp', label: `tcp ${text}`, host: host.value.ref, port: host.value.port },
    zone: host.value.zone,
  });
};

const status = integer({ min: 100, max: 599, why: 'These are the status codes of HTTP.' });
const code = leaf(status, { type: 'integer', minimum: 100, maximum: 599 });
const codes = z.array(code, { error: () => '- 200' });

const statuses: ValueSchema<number[]> = z.pipe(
  z.any(),
  z.transform((value: unknown, ctx): number[] => {
    if (Array.isArray(value)) return delegate(codes, value, ctx.issues) ?? z.NEVER;
    const one = delegate(code, value, ctx.issues);
    return one === undefined ? z.NEVER : [one];
  }),
);
jsonParts.set(statuses, {
  json: { description: 'Status code, or list of codes, that counts as an answer; any 2xx where left out.' },
  inner: [code, codes],
});

const bodyText: Reader<string> = (text) => (text === '' ? bad('some text of the page is wanted') : good(text));

const SHAPES = {
  icmp: mapping(
    { icmp: leaf(icmp, { type: 'string', description: 'Address or name that answers echo requests.' }) },
    'Asked by ICMP echo.',
  ),
  tcp: mapping(
    { tcp: leaf(tcp, { type: 'string', description: 'host:port, or [IPv6 address]:port.' }) },
    'Asked for a TCP connection.',
  ),
  http: mapping(
    {
      http: leaf(readHttpUrl, { type: 'string', pattern: '^https?://', description: 'The page asked for.' }),
      status: z.optional(statuses),
      expect: z.optional(leaf(bodyText, { type: 'string', minLength: 1, description: 'Text that the page must contain.' })),
    },
    'Asked for a web page. A redirect to another host is a portal.',
  ),
  dns: mapping(
    {
      dns: leaf(readDomainName, { type: 'string', description: 'The name asked for.' }),
      server: leaf((text: string) => readHostPort(text, BUILT_IN.dns.port), {
        type: 'string',
        description: 'The resolver asked: host or host:port.',
      }),
      type: z.optional(
        leaf(choice('A', 'AAAA', 'NS', 'SOA'), {
          enum: ['A', 'AAAA', 'NS', 'SOA'],
          description: 'The type of record asked for.',
          default: BUILT_IN.dns.type,
        }),
      ),
    },
    'Asked as a resolver.',
  ),
} as const;

const plain = leaf(icmp, { type: 'string', description: 'Address or name that answers echo requests.' });

function readTarget(value: unknown, issues: z.core.$ZodRawIssue[]): TargetShape | undefined {
  if (typeof value === 'string') return delegate(plain, value, issues);
  const kind = kindOf(value);
  if (!kind.ok) {
    issues.push({ code: 'custom', input: value, params: { complaint: kind, hidden: false } });
    return undefined;
  }
  switch (kind.value) {
    case 'icmp':
      return delegate(SHAPES.icmp, value, issues)?.icmp;
    case 'tcp':
      return delegate(SHAPES.tcp, value, issues)?.tcp;
    case 'http': {
      const read = delegate(SHAPES.http, value, issues);
      if (read === undefined) return undefined;
      const { ref, zone, port, url } = read.http;
      return {
        config: {
          kind: 'http',
          label: url,
          host: ref,
          url,
          port,
          statuses: read.status ?? [],
          bodyContains: read.expect ?? null,
        },
        zone,
      };
    }
    case 'dns': {
      const read = delegate(SHAPES.dns, value, issues);
      if (read === undefined) return undefined;
      const { ref, zone, port } = read.server;
      const label = `dns ${read.dns} @${ref.kind === 'address' ? ref.address : ref.name}`;
      return { config: { kind: 'dns', label, host: ref, name: read.dns, type: read.type ?? BUILT_IN.dns.type, port }, zone };
    }
  }
}

function kindOf(value: unknown): Read<Kind> {
  const wanted = 'an address, a name, or a mapping with one of the keys icmp, tcp, http or dns is wanted';
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return bad(wanted, 'such as {tcp: "example.com:443"}');
  const keys = Object.keys(value);
  const kinds = KINDS.filter((kind) => keys.includes(kind));
  const [first, second] = kinds;
  if (second !== undefined)
    return bad('a target is asked in one way only', `${kinds.join(' and ')} need two entries in the list`);
  if (first !== undefined) return good(first);
  if (keys.includes('https')) return bad(wanted, null, 'Did you mean http (for both http:// and https://)?');
  const meant = keys.map((key) => nearest(key, KINDS)).find((kind) => kind !== null);
  return bad(wanted, 'such as {tcp: "example.com:443"}', meant === undefined ? null : `Did you mean ${meant}?`);
}

/** One entry of `targets`. */
export const target: ValueSchema<TargetShape> = z.pipe(
  z.any(),
  z.transform((value: unknown, ctx): TargetShape => readTarget(value, ctx.issues) ?? z.NEVER),
);
jsonParts.set(target, { json: {}, inner: [plain, SHAPES.icmp, SHAPES.tcp, SHAPES.http, SHAPES.dns] });
