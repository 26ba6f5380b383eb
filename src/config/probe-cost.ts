/**
 * What probes cost: IP packets of both directions, in 30 days. Pure arithmetic over the schedule of src/core/detect/detector.ts.
 */
import type { TargetConfig, UplinkConfig } from '../core/config.js';
import type { Family } from '../core/model.js';

const DAYS_PER_MONTH = 30;
/** How often the detector asks the gateway beside the targets while all is well. */
const GATEWAY_EVERY_MS = 10_000;

export interface Cost {
  readonly probesPerMinute: number;
  readonly bytesPerMonth: number;
}

/** Of an uplink's probes, the gateway's included, if they came at this interval. */
export function costAt(uplink: UplinkConfig, intervalMs: number): Cost {
  const gatewayEveryMs = uplink.targets.length === 0 ? intervalMs : Math.max(GATEWAY_EVERY_MS, intervalMs);
  const asked = uplink.targets.flatMap((target) => familiesOf(target, uplink).map((family) => probeBytes(target, family)));
  const echoes = uplink.gateways.map(({ family }) => echoBytes(family));
  return {
    probesPerMinute: (asked.length * 60_000) / intervalMs + (echoes.length * 60_000) / gatewayEveryMs,
    bytesPerMonth: perMonth(intervalMs) * sum(asked) + perMonth(gatewayEveryMs) * sum(echoes),
  };
}

/** A name is asked in every family of its uplink. */
export function familiesOf(target: TargetConfig, uplink: UplinkConfig): readonly Family[] {
  const { host } = target;
  return host.kind === 'address' ? [host.family] : uplink.gateways.map(({ family }) => family);
}

export function perMonth(everyMs: number): number {
  return (DAYS_PER_MONTH * 86_400_000) / everyMs;
}

export function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

const IP_HEADER: Readonly<Record<Family, number>> = { 4: 20, 6: 40 };
/** An echo of ours: ICMP header and token. */
const ECHO_BYTES = 24;
const UDP_HEADER = 8;
const DNS_HEADER = 12;
/** Type and class after the name asked for. */
const DNS_QUESTION_TAIL = 4;
const DNS_ANSWER = 100;
/** SYN and its answer with all options, an acknowledgement, a reset. */
const TCP_PACKETS = 4;
const TCP_BYTES = 40 + 40 + 32 + 20;
/** Question and the head of the answer; certificates for https. The page itself is read to 64 KiB at most, and assumed to be small. */
const HTTP_BYTES = 1_500;
const TLS_BYTES = 5_000;

function echoBytes(family: Family): number {
  return 2 * (IP_HEADER[family] + ECHO_BYTES);
}

/** Bytes of IP packets, both directions, of one probe that is answered. */
export function probeBytes(target: TargetConfig, family: Family): number {
  const tcp = TCP_PACKETS * IP_HEADER[family] + TCP_BYTES;
  switch (target.kind) {
    case 'icmp':
      return echoBytes(family);
    case 'tcp':
      return tcp;
    case 'dns':
      return 2 * (IP_HEADER[family] + UDP_HEADER + DNS_HEADER + target.name.length + 2 + DNS_QUESTION_TAIL) + DNS_ANSWER;
    case 'http':
      return tcp + HTTP_BYTES + (target.url.toLowerCase().startsWith('https:') ? TLS_BYTES : 0);
  }
}
