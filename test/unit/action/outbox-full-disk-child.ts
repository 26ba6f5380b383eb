/** An outbox on a small file system of its own that is full; says on stdout, as JSON, what it saw. */
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Outbox, type OutboxReport } from '../../../src/action/outbox.js';
import type { Verdict } from '../../../src/action/verdict.js';
import { HandClock, mailChannel, notice, until } from './outbox-bench.js';

const [place = ''] = process.argv.slice(2);
const directory = join(place, 'outbox');
const clock = new HandClock();
const reports: OutboxReport[] = [];
const delivered: string[] = [];
let verdict: Verdict = { kind: 'retry', text: '451 later' };
const outbox = new Outbox({
  directory,
  channels: [mailChannel('admin')],
  clock,
  random: () => 0,
  report: (report) => void reports.push(report),
  deliver: async (_, { id }) => {
    if (verdict.kind === 'delivered') delivered.push(id);
    return verdict;
  },
});
const files = (): string[] => (existsSync(directory) ? readdirSync(directory).filter((name) => name.endsWith('.json')) : []);
const states = (): string[] => [...new Set(outbox.list().map(({ state }) => state))];

outbox.put('admin', notice('on disk'));
await until(() => files().length === 1, 'the first one on disk');

// Full to the last byte.
try {
  writeFileSync(join(place, 'filler'), Buffer.alloc(8 * 1024 * 1024));
} catch {
  // That is the aim.
}
for (let count = 0; count < 3; count += 1) outbox.put('admin', notice(`held ${count}`));
await until(() => reports.some(({ what }) => what === 'disk'), 'the full disk told');
const whileFull = {
  told: reports.filter(({ what }) => what === 'disk').map(({ text }) => text),
  problem: outbox.problems()[0],
  states: outbox.list().map(({ state }) => state),
  leftovers: readdirSync(directory).filter((name) => name.endsWith('.tmp')),
};

// What cannot be kept is at least told.
verdict = { kind: 'delivered', text: 'ok' };
outbox.kick();
await until(() => outbox.list().length === 0, 'delivered from memory');
await until(() => files().length === 0, 'the file of the first one removed');

// Space of one file was freed by that; take it again.
try {
  writeFileSync(join(place, 'filler 2'), Buffer.alloc(1024 * 1024));
} catch {
  // As above.
}
verdict = { kind: 'retry', text: '451 later' };
reports.length = 0;
for (let count = 0; count < 120; count += 1) outbox.put('admin', notice(`many ${count}`));
await until(() => reports.filter(({ what }) => what === 'dropped').length === 20, 'the oldest dropped');
const bounded = { held: outbox.list().length, last: outbox.list().at(-1)?.id };

rmSync(join(place, 'filler'));
// An attempt that still failed may be on its way: the next one is planned only when it is back.
await until(() => {
  clock.advance(10_000);
  return states().join() === 'waiting';
}, 'everything on disk');
const afterwards = {
  told: reports.filter(({ what }) => what === 'disk').map(({ text }) => text),
  files: files().length,
  problems: outbox.problems().filter((problem) => problem.includes('disk')),
};
await outbox.close();
process.stdout.write(`${JSON.stringify({ whileFull, delivered, bounded, afterwards })}\n`);
