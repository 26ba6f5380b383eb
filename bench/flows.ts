/**
 * The rows about open connections: a route is replaced as fast while 100,000 of them are being ended as while ten are.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Effort } from './failover.js';
import { figuresOf } from './figures.js';
import { type Row, row } from './row.js';

/** What flows-agent.ts measures. */
export interface FlowFigures {
  /** of each end() */
  readonly endMs: readonly number[];
  /** of each route replace meanwhile, microseconds */
  readonly replaceUs: readonly number[];
  /** for how long the loop did not turn, each time it was looked at meanwhile */
  readonly blockMs: readonly number[];
}

const COUNTS = [10, 100_000] as const;
const LOOP_LIMIT_MS = 5;

export async function openConnections(wanted: ReadonlySet<string>, effort: Effort): Promise<Row[]> {
  if (!wanted.has('flows')) return [];
  const rows: Row[] = [];
  for (const count of COUNTS) {
    const name = count.toLocaleString('en');
    effort.progress('flows', `${name} connections`);
    const { endMs, replaceUs, blockMs } = await measure(count);
    const blocked = figuresOf(blockMs);
    const ended = figuresOf(endMs);
    rows.push(
      row({
        id: `flows-${count}`,
        what: `a route replace while ${name} connections are ended`,
        unit: 'ms',
        limit: { median: 1, p95: 2 },
        floor: null,
        samples: replaceUs.map((us) => us / 1000),
        notes: [
          `median ${figuresOf(replaceUs)?.median.toFixed(0)} us; to end them takes ${ended?.median.toFixed(0)} ms in the median, beside the loop`,
        ],
        detail: { endMs, replaceUs },
      }),
      row({
        id: `flows-${count}-loop`,
        what: 'the same: how long the loop does not turn',
        unit: 'ms',
        limit: { p95: LOOP_LIMIT_MS },
        floor: null,
        samples: blockMs,
        notes: [`longest ${blocked?.max.toFixed(2)} ms; the time that other processes had of the core is left out`],
        detail: blockMs,
      }),
    );
  }
  return rows;
}

async function measure(count: number): Promise<FlowFigures> {
  const agent = fileURLToPath(new URL('./flows-agent.js', import.meta.url));
  const child = spawn('unshare', ['--net', process.execPath, agent, String(count)], { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let complaint = '';
  child.stdout.on('data', (data) => {
    out += data;
  });
  child.stderr.on('data', (data) => {
    complaint += data;
  });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`ending ${count} connections: ${complaint.trim().split('\n').at(-1) ?? `exit code ${code}`}`);
  return JSON.parse(out) as FlowFigures;
}
