/** Writes minute after minute until it is killed; says on stdout which ones the thread has acknowledged. */
import { writeSync } from 'node:fs';
import { MINUTE_MS } from '../../../src/history/schema.js';
import { entry, health } from './history-bench.js';
import { KeeperBench } from './keeper-bench.js';

const [directory = '', from = '0'] = process.argv.slice(2);
const bench = new KeeperBench(directory, undefined, Number(from));
bench.begin();
for (let down = false; ; down = !down) {
  const minuteMs = Math.floor(bench.clock.atMs / MINUTE_MS) * MINUTE_MS;
  const [before, after] = down ? (['down', 'up'] as const) : (['up', 'down'] as const);
  bench.keeper.record(health(bench.clock.atMs, before, after));
  for (let count = 0; count < 20; count += 1) bench.keeper.record(entry('config', minuteMs, { text: 'x'.repeat(500) }));
  await bench.minute();
  await bench.settle();
  writeSync(1, `${minuteMs}\n`);
}
