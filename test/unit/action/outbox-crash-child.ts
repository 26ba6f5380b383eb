/** A process with an outbox that is meant to be killed: puts messages without end and delivers them by SMTP. */
import { Outbox } from '../../../src/action/outbox.js';
import { Telling } from '../../../src/action/telling/telling.js';
import { realClock } from '../../../src/daemon/clock.js';
import { mailChannel, notice } from './outbox-bench.js';
import { mailConfig } from './telling/smtp-bench.js';

const [directory = '', port = '', life = '', count = ''] = process.argv.slice(2);
const channels = [{ ...mailChannel('admin'), transport: mailConfig(Number(port)) }];
const telling = new Telling({ host: 'gw', version: '1', clock: realClock, random: Math.random });
const outbox = new Outbox({
  directory,
  channels,
  deliver: telling.deliver,
  clock: realClock,
  random: Math.random,
  report: (report) => process.stdout.write(`${JSON.stringify(report)}\n`),
});
await outbox.ready();
let next = 0;
const timer = setInterval(() => {
  if (next < Number(count)) outbox.put('admin', notice(`${life}.${next}`));
  next += 1;
  // Nothing left to do: this life ends by itself.
  if (next > Number(count) && outbox.list().length === 0) {
    clearInterval(timer);
    void outbox.close();
  }
}, 2);
