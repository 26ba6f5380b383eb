/**
 * How the demo looks: aligned lines for people, colours where they are wanted. Pure: figures in, text out. Knows nothing of how
 * the demo runs.
 */

import type { HistoryEntry } from '../core/entry.js';
import { type Reason, reasonText } from '../core/model.js';
import { formatDuration } from '../core/show/describe.js';
import type { MeterStats } from './packet-log.js';
import { CLIENT4, SERVER4, type Topology } from './topologies.js';

export type Paint = (colour: 'red' | 'green' | 'yellow' | 'cyan' | 'dim' | 'bold', text: string) => string;

export const unpainted: Paint = (_colour, text) => text;

/** What stands in the timeline's second column. */
export type Label = 'start' | 'ready' | 'cut' | 'failover' | 'repair' | 'recovery' | 'failback' | 'down' | 'problem';

const COLOURS: Readonly<Record<Label, Parameters<Paint>[0]>> = {
  start: 'dim',
  ready: 'green',
  cut: 'red',
  failover: 'yellow',
  repair: 'cyan',
  recovery: 'green',
  failback: 'green',
  down: 'red',
  problem: 'red',
};

const TIME_WIDTH = 9;
const LABEL_WIDTH = 10;
const INDENT = ' '.repeat(TIME_WIDTH + 2 + LABEL_WIDTH);

/** One event: its time and label before the first line, the others below it. */
export function timelineEntry(atMs: number, label: Label, lines: readonly string[], paint: Paint): string {
  const [first = '', ...rest] = lines;
  const time = `${(Math.max(0, atMs) / 1000).toFixed(2)} s`.padStart(TIME_WIDTH);
  const head = `${paint('dim', time)}  ${paint(COLOURS[label], label.padEnd(LABEL_WIDTH))}${paint('bold', first)}\n`;
  return head + rest.map(detail).join('');
}

/** A further line below an event. */
export function detail(line: string): string {
  return `${INDENT}${line}\n`;
}

/** `1,329 ms`: figures of one story are compared, so they keep one unit. */
export function milliseconds(ms: number): string {
  return `${Math.round(ms).toLocaleString('en-US')} ms`;
}

/** What the client felt, the longest gap being the longest time without an answer. */
export function clientLine(stats: MeterStats): string {
  return `the client lost ${packets(stats.lost)}; its longest gap was ${milliseconds(stats.longestGapMs)}`;
}

function packets(count: number): string {
  if (count === 0) return 'no packet';
  return count === 1 ? '1 packet' : `${count.toLocaleString('en-US')} packets`;
}

/** `fast -> backup: the gateway answers, but nothing beyond it does` */
export function switchLine(entry: HistoryEntry): string {
  return `${entry.from ?? 'none'} -> ${entry.to ?? 'none'}: ${because(entry.reason)}`;
}

export function because(reason: Reason | null): string {
  return reason === null ? 'no reason given' : reasonText[reason];
}

/** The network, drawn. */
export function networkPicture(topology: Topology, intervalMs: number, paint: Paint): string {
  const uplinks = topology.uplinks.map((uplink, at) => {
    const branch = at === topology.uplinks.length - 1 ? '`--' : '|--';
    const rtt = formatDuration(uplink.out.delayMs + uplink.in.delayMs);
    return `      ${branch} ${paint('bold', uplink.name.padEnd(8))} router ${uplink.gateway4.padEnd(14)} ==  provider ${uplink.upstream4}, ${rtt} away\n`;
  });
  return [
    `   client  ${CLIENT4}, sends a packet to ${SERVER4} every ${intervalMs} ms\n`,
    '      |\n',
    `   gateway 192.168.1.2, its default route is what ${paint('bold', 'backroute run')} looks after\n`,
    ...uplinks,
  ].join('');
}

export interface Outcome {
  readonly failoverMs: number;
  readonly failbackMs: number;
  readonly cutStats: MeterStats;
  readonly repairStats: MeterStats;
}

/** The story in two lines whose columns line up. */
export function summary({ failoverMs, failbackMs, cutStats, repairStats }: Outcome, paint: Paint): string {
  const rows = [
    ['failover', `${milliseconds(failoverMs)} after the cut`, clientLine(cutStats)],
    ['failback', `${milliseconds(failbackMs)} after the repair`, clientLine(repairStats)],
  ] as const;
  const width = Math.max(...rows.map(([, when]) => when.length));
  return rows.map(([what, when, felt]) => `   ${paint('bold', what)}  ${when.padEnd(width)}   ${felt}\n`).join('');
}

/** A block of text, each line moved in. */
export function indented(text: string, by = 3): string {
  return text.replace(/^(?=.)/gm, ' '.repeat(by));
}
