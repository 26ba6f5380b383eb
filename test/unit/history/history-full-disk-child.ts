/** A history on a small file system of its own that fills up; says on stdout, as JSON, what it saw. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openHistory } from '../../../src/history/reader.js';
import { LIMITS } from './history-bench.js';
import { KeeperBench } from './keeper-bench.js';

const [place = ''] = process.argv.slice(2);
const bench = new KeeperBench(place, LIMITS);
bench.begin();
for (let minute = 0; minute < 3; minute += 1) await bench.minute();
await bench.settle();

// Full to the last byte.
try {
  writeFileSync(join(place, 'filler'), Buffer.alloc(8 * 1024 * 1024));
} catch {
  // That is the aim.
}
for (let minute = 0; minute < 30; minute += 1) await bench.minute();
const whileFull = { told: [...bench.told], problems: bench.keeper.problems() };
rmSync(join(place, 'filler'));
for (let minute = 0; minute < 2; minute += 1) await bench.minute();
await bench.settle();
const afterwards = { told: bench.told.slice(whileFull.told.length), problems: bench.keeper.problems() };

// Its own growth fills it as well.
for (let minute = 0; minute < 600 && bench.keeper.problems().length === 0; minute += 1) await bench.minute();
const grown = bench.keeper.problems();
await bench.keeper.close();
const history = openHistory(join(place, 'history.db'));
const minutes = new Set([...history.minutes(0, Number.MAX_SAFE_INTEGER)].map(({ minuteMs }) => minuteMs)).size;
const outages = history.outages(0, Number.MAX_SAFE_INTEGER).length;
history.close();
process.stdout.write(`${JSON.stringify({ whileFull, afterwards, grown, minutes, outages })}\n`);
