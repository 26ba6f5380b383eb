/**
 * The words of Backroute as types: families, health, reasons. The same strings go unchanged to the log, the API, the CLI,
 * mails and metric labels. Knows nothing of Linux, of time sources or of files.
 */

/** IP version. Every uplink has one independent path per family it is configured for. */
export type Family = 4 | 6;

export type Health = 'unknown' | 'up' | 'degraded' | 'down';

/** What the administrator ordered, beside what the probes say. */
export type Admin = 'auto' | 'forced' | 'disabled';

/**
 * Why a path is in its state, or why a switch was made. One enum for every surface of the program;
 * {@link reasonText} has the sentence for each.
 */
export type Reason =
  | 'starting' // no verdict yet
  | 'answers' // targets answer
  | 'carrier-lost' // link has no carrier or is administratively down
  | 'interface-gone' // link does not exist
  | 'no-address' // the gateway cannot be reached because the link has no suitable address
  | 'no-gateway' // `gateway: auto`, and no lease, advertisement or route names one
  | 'gateway-unresolved' // the gateway's name has never resolved
  | 'gateway-silent' // the next router itself does not answer
  | 'upstream-silent' // the next router answers, nothing beyond it does
  | 'silent' // nothing answers, and whether the gateway lives cannot be told
  | 'no-route' // the kernel or a router said that there is no way to the targets
  | 'unreachable' // an ICMP error quoted our probes
  | 'portal' // a captive portal answers instead of the target
  | 'loss-high'
  | 'latency-high'
  | 'jitter-high'
  | 'local-fault' // our own packets were refused on this machine (firewall), or every uplink fell silent at once
  | 'forced'
  | 'disabled'
  | 'preferred' // failback: a more preferred uplink is good again
  | 'better' // the other one is healthier
  | 'drill' // the backup is being tried
  | 'cap-reached' // metered, and what it may cost in a month is used up
  | 'adopted' // found in the kernel at start
  | 'no-choice'; // everything is down: the last choice is kept

/** Why one sample counts as lost. */
export type LossReason =
  | 'timeout' // no answer by the deadline
  | 'no-route' // ENETUNREACH, EHOSTUNREACH from the kernel on sending
  | 'unreachable' // ICMP destination unreachable quoting our probe
  | 'ttl-exceeded' // ICMP time exceeded quoting our probe: a routing loop
  | 'refused' // TCP RST or ICMP port unreachable
  | 'portal' // HTTP redirect to another host
  | 'bad-status' // HTTP status not among the expected
  | 'bad-body' // HTTP body does not match
  | 'tls' // TLS failed for another reason than time
  | 'bad-answer' // malformed or unwanted answer (DNS rcode)
  | 'local-fault'; // EPERM and the like: our own machine refused to send

export const reasonText: Readonly<Record<Reason, string>> = {
  starting: 'no verdict yet',
  answers: 'its targets answer',
  'carrier-lost': 'the link has no carrier',
  'interface-gone': 'the interface does not exist',
  'no-address': 'the interface has no address in the network of the gateway',
  'no-gateway': 'no lease, router advertisement or route names its gateway',
  'gateway-unresolved': "the gateway's name does not resolve",
  'gateway-silent': 'the gateway itself does not answer',
  'upstream-silent': 'the gateway answers, but nothing beyond it does',
  silent: 'nothing answers through it',
  'no-route': 'there is no route to the targets',
  unreachable: 'a router reports the targets as unreachable',
  portal: 'a captive portal answers instead of the target',
  'loss-high': 'too many probes are lost',
  'latency-high': 'answers take too long',
  'jitter-high': 'answer times vary too much',
  'local-fault': 'this machine itself is suspected (LAN port, firewall)',
  forced: 'the administrator forced it',
  disabled: 'the administrator disabled it',
  preferred: 'the preferred uplink is good again',
  better: 'the other uplink is better',
  drill: 'the backup is being tried',
  'cap-reached': 'what it may cost in a month is used up',
  adopted: 'found in the kernel at start',
  'no-choice': 'no uplink works: the last choice is kept',
};

/** `fast/4`: one uplink in one family. */
export type PathKey = string;

export function pathKey(uplink: string, family: Family): PathKey {
  return `${uplink}/${family}`;
}
