/**
 * What probes weigh: bytes of IP packets in both directions, without what the link adds below IP. Pure arithmetic over what
 * src/probe/ sends and over the schedule of detector.ts; serves the budget of metered uplinks and the advice of `check`.
 */
import type { TargetConfig, TargetQuestion, UplinkConfig } from '../config.js';
import type { Family } from '../model.js';

/** How often the detector asks the gateway beside the targets while all is well. */
const GATEWAY_EVERY_MS = 10_000;

const IP_HEADER: Readonly<Record<Family, number>> = { 4: 20, 6: 40 };
/** ICMP header and token (src/probe/icmp-packet.ts). */
const ECHO = 8 + 16;
const UDP_HEADER = 8;
const DNS_HEADER = 12;
/** Type and class after the name asked for. */
const DNS_QUESTION_TAIL = 4;
/** Records of the answer; the question stands in it again. */
const DNS_ANSWER = 100;
/** SYN and its answer with all options, an acknowledgement, a reset: Linux's own sizes. */
const TCP_SEGMENTS = [40, 40, 32, 20];
/** Question and the head of the answer. A page is read to 64 KiB at most, and assumed to be small. */
const HTTP = 1_500;
/** TLS 1.3 with a usual chain of certificates. */
const TLS = 5_000;

/** One probe that is answered. One that is not weighs less: who counts every probe so stays on the safe side. */
export function probeBytes(question: TargetQuestion, family: Family): number {
  const ip = IP_HEADER[family];
  switch (question.kind) {
    case 'icmp':
      return 2 * (ip + ECHO);
    case 'dns':
      return 2 * (ip + UDP_HEADER + DNS_HEADER + question.name.length + 2 + DNS_QUESTION_TAIL) + DNS_ANSWER;
    case 'tcp':
      return connectionBytes(ip);
    case 'http':
      return connectionBytes(ip) + HTTP + (question.url.toLowerCase().startsWith('https:') ? TLS : 0);
  }
}

function connectionBytes(ipHeader: number): number {
  return TCP_SEGMENTS.reduce((sum, segment) => sum + ipHeader + segment, 0);
}

/** The families in which a target of an uplink is asked: a name in every one that the uplink has. */
export function familiesAsked(target: TargetConfig, uplink: Pick<UplinkConfig, 'gateways'>): readonly Family[] {
  const { host } = target;
  const families = uplink.gateways.map((gateway) => gateway.family);
  return host.kind === 'name' ? families : families.filter((family) => family === host.family);
}

/** What the regular probes of an uplink weigh at this interval while all is well, bytes per second. */
export function probeBytesPerS(uplink: Pick<UplinkConfig, 'gateways' | 'targets'>, intervalMs: number): number {
  let perS = 0;
  for (const target of uplink.targets) {
    for (const family of familiesAsked(target, uplink)) perS += (probeBytes(target, family) * 1000) / intervalMs;
  }
  for (const { family } of uplink.gateways) {
    const watched = uplink.targets.some((target) => familiesAsked(target, uplink).includes(family));
    const everyMs = watched ? Math.max(GATEWAY_EVERY_MS, intervalMs) : intervalMs;
    perS += (probeBytes({ kind: 'icmp' }, family) * 1000) / everyMs;
  }
  return perS;
}
